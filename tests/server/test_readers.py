"""Parts of a stream that several threads read, in an order of the test's own."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.server.readers import Readers
from tests.server.waiting import WAIT_SECONDS, wait


def parted(*parts: Sequence[int]) -> Callable[[], Sequence[int]]:
    each: Iterator[Sequence[int]] = iter(parts)
    return lambda: next(each, [])


def squares(numbers: Sequence[int]) -> list[int]:
    return [number**2 for number in numbers]


class Held:
    """Squares, once a part may be read; a part with a negative number fails."""

    def __init__(self) -> None:
        self.may = {number: threading.Event() for number in range(10)}
        self.read: list[int] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        assert self.may[abs(numbers[0])].wait(WAIT_SECONDS)
        self.read.append(numbers[0])
        if numbers[0] < 0:
            raise ValueError(f"part {numbers[0]}")
        return squares(numbers)


def test_what_ends_first_waits_for_what_came_before() -> None:
    held = Held()
    readers = Readers(parted([1], [2, 3], [4]), held, threads=3)
    for number in (4, 2):
        held.may[number].set()
    wait(lambda: sorted(held.read) == [2, 4])
    held.may[1].set()
    assert readers.read(10) == [(1, 1), (2, 4), (3, 9), (4, 16)]
    assert readers.read(10) == []


def test_what_came_before_a_failure_is_given_first() -> None:
    held = Held()
    for event in held.may.values():
        event.set()
    readers = Readers(parted([1], [-2], [3]), held, threads=3)
    wait(lambda: len(held.read) == 3)
    assert readers.read(10) == [(1, 1)]
    with pytest.raises(ValueError, match="part -2"):
        readers.read(10)


def test_a_part_is_not_given_in_pieces_and_no_more_than_asked() -> None:
    readers = Readers(parted([1, 2], [3, 4], [5, 6, 7, 8]), squares, threads=1)
    wait(lambda: not any(each.name == "mien-reader" for each in threading.enumerate()))
    groups = [[request for request, _ in readers.read(3)] for _ in range(4)]
    assert groups == [[1, 2], [3, 4], [5, 6, 7, 8], []]


@given(
    sizes=st.lists(st.integers(1, 5), max_size=30),
    threads=st.integers(1, 4),
    most=st.integers(1, 12),
)
def test_all_come_once_and_in_order(sizes: list[int], threads: int, most: int) -> None:
    numbers = iter(range(sum(sizes)))
    parts = [[next(numbers) for _ in range(size)] for size in sizes]
    readers = Readers(parted(*parts), squares, threads)
    groups = list(iter(lambda: readers.read(most), []))
    given = [pair for group in groups for pair in group]
    assert given == [(number, number**2) for number in range(sum(sizes))]
    assert all(len(group) <= max(most, 5) for group in groups)
