"""Memory for vectors that grows where it lies, in large pages."""

import mmap
from contextlib import suppress

import numpy as np

from mien.matching.metrics import Vectors

LARGE_PAGE = 2 * 2**20
"""Bytes, on x86-64 and where an Arm has small pages of 4 KiB."""

LARGE_FROM = 2 * LARGE_PAGE
"""Bytes; of less, half might be unused."""


class VectorMemory:
    """Vectors float32 [capacity, D], zero until they are written.

    In large pages the processor translates fewer addresses and reads further ahead: a search of
    100,000 vectors takes a fifth less (docs/galleries.md). Linux gives them to who asks, unless it
    is set to give them to nobody. As lengths are multiples of them, it moves them whole (from 6.7
    on) where there is no room to grow in place.
    """

    def __init__(self, dim: int) -> None:
        self.vectors: Vectors = np.empty((0, dim), np.float32)
        self._pages: mmap.mmap | None = None

    def grow(self, capacity: int) -> None:
        """Have room for so many, no fewer than before. `vectors` is another view afterwards."""
        dim = self.vectors.shape[1]
        length = 4 * dim * capacity
        if not length:
            return
        unit = LARGE_PAGE if length >= LARGE_FROM else mmap.PAGESIZE
        self._pages = self._resized(-(-length // unit) * unit)
        self.vectors = np.frombuffer(self._pages, np.float32, dim * capacity).reshape(-1, dim)

    def _resized(self, length: int) -> mmap.mmap:
        old, dim = self._pages, self.vectors.shape[1]
        if old is None:
            return _pages(length)
        self.vectors = np.empty((0, dim), np.float32)
        try:
            old.resize(length)
        except (BufferError, SystemError):  # somebody keeps a view, or the system cannot
            return _copied(old, length)
        _ask_for_large(old)
        return old


def _pages(length: int) -> mmap.mmap:
    pages = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    _ask_for_large(pages)
    return pages


def _copied(old: mmap.mmap, length: int) -> mmap.mmap:
    new = _pages(length)
    with memoryview(old) as content, memoryview(new) as into:
        into[: len(content)] = content
    return new


def _ask_for_large(pages: mmap.mmap) -> None:
    if len(pages) >= LARGE_FROM and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel that knows no large pages: small ones do
            pages.madvise(mmap.MADV_HUGEPAGE)
