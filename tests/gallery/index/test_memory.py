"""Memory that grows: what is in it stays, and large pages are used where the machine has them."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from mien.gallery.index.memory import LARGE_FROM, LARGE_PAGE, VectorMemory
from tests.gallery.looks import looks

DIM = 128
LARGE = LARGE_FROM // (4 * DIM)
"""Vectors from which on large pages are asked for."""

SMAPS = Path("/proc/self/smaps")


@pytest.mark.parametrize("steps", [[1, 2, 5000], [LARGE - 1, LARGE, 3 * LARGE], [LARGE, LARGE]])
def test_what_is_there_stays_and_what_is_new_is_zero(steps: list[int]) -> None:
    memory = VectorMemory(DIM)
    expected = np.empty((0, DIM), np.float32)
    for seed, capacity in enumerate(steps):
        memory.grow(capacity)
        new = capacity - len(expected)
        assert memory.vectors.shape == (capacity, DIM)
        assert (memory.vectors[: len(expected)] == expected).all()
        assert not memory.vectors[len(expected) :].any()
        memory.vectors[len(expected) :] = looks(new, seed, dim=DIM)
        expected = memory.vectors.copy()


def test_no_room_is_no_memory() -> None:
    memory = VectorMemory(DIM)
    memory.grow(0)
    assert memory.vectors.shape == (0, DIM)


def test_a_view_that_somebody_keeps_is_not_pulled_away() -> None:
    memory = VectorMemory(DIM)
    memory.grow(10)
    memory.vectors[:] = expected = looks(10, dim=DIM)
    kept = memory.vectors[:5]
    memory.grow(2 * LARGE)
    assert (memory.vectors[:10] == expected).all()
    memory.vectors[:] = 0
    assert (kept == expected[:5]).all()


class Refusing(mmap.mmap):
    """Of a system without mremap and large pages."""

    def resize(self, newsize: int) -> None:
        raise SystemError(f"mmap: resizing to {newsize} not available")

    def madvise(self, option: int, *_: int) -> None:
        raise OSError(22, f"Invalid argument {option}")


def test_a_system_that_can_do_neither_has_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "mmap", Refusing)
    test_what_is_there_stays_and_what_is_new_is_zero([10, LARGE, 2 * LARGE])


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux says of memory what was asked for")
def test_large_pages_are_asked_for_from_two_on_wherever_the_memory_moves() -> None:
    memory, others = VectorMemory(DIM), []
    for pages, asked in ((1, False), (2, True), (3, True), (5, True), (8, True)):
        memory.grow(pages * LARGE_PAGE // (4 * DIM))
        assert ("hg" in flags_at(memory.vectors.ctypes.data)) is asked
        others.append(VectorMemory(DIM))
        others[-1].grow(1)  # in the way of growing in place


def flags_at(address: int) -> list[str]:
    """Of the mapping that has this address; hg: large pages, as proc_pid_smaps(5) says."""
    inside = False
    for line in SMAPS.read_text().splitlines():
        head, *rest = line.split()
        if not head.endswith(":"):
            first, last = (int(each, 16) for each in head.split("-"))
            inside = first <= address < last
        elif inside and head == "VmFlags:":
            return rest
    raise AssertionError(f"nothing is at {address:x}")
