"""Long lists of names in a message: the first few, and how many more."""

from collections.abc import Iterable

SHOWN = 20


def listing(names: Iterable[str]) -> str:
    """`a, b and 3 more`: at most SHOWN names, in order, each once."""
    ordered = sorted(set(names))
    shown = ", ".join(ordered[:SHOWN])
    more = len(ordered) - SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
