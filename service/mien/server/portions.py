"""A group's pictures, dealt out to threads so that they end at about the same time."""

from collections.abc import Iterator, Sequence

AT_ONCE = 16
"""Pictures that one thread takes from bytes to vectors together: enough for a batch of the network.
"""

LEAST = 4
"""Fewer are not taken together: the network is slower by less than that for one picture."""


def portions(places: Sequence[int], cores: int) -> Iterator[Sequence[int]]:
    """All of them in order, at most AT_ONCE together and towards the end fewer.

    Of what is left each core takes half of its share (guided self-scheduling; Polychronopoulos and
    Kuck, 1987). In even parts one core waits at the end of each group for a whole part of another,
    while no picture of the next group is looked at.
    """
    while places:
        share = -(-len(places) // (2 * cores))
        size = AT_ONCE if cores == 1 else min(AT_ONCE, max(LEAST, share))
        yield places[:size]
        places = places[size:]
