"""Bytes that SQLite leaves behind in its pages, and how they go.

secure_delete overwrites a row where it is deleted. But where rows move (a page is split, or two are
merged) SQLite lays a page out anew and leaves copies of rows in the gap between the page's row
pointers and its rows, where nothing refers to them (rebuildPage in SQLite's btree.c; of 5,000
deleted rows, 1 to 8 were still in the file with SQLite 3.40.1). So the gap of every page that was
written is overwritten with zeros, once the page has gone from the write-ahead log into the file
and before the log is cut. To SQLite a gap is unallocated space, whose content means nothing.

The format is https://www.sqlite.org/fileformat2.html, sections 1.3, 1.6 and 4.1.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

LARGEST_FILE = 0x01FF_FFFF
"""Pages, 137 GB, that a file may have. A page that is no tree starts with the number of another,
and so with a byte below 2; a tree's page starts with 2, 5, 10 or 13."""

TREES = {2: 12, 5: 12, 10: 8, 13: 8}
"""First byte of a tree's page → length of its header."""

LOG_HEADER, FRAME_HEADER = 32, 24
FRAME_SIZE = struct.Struct(">8xI")
"""Of a log's header: the size of a page."""
SALTS, SALTS_OF_FRAME = 16, 8
"""Where in a header eight bytes are that tell a log from an older one in the same file."""
FILE_HEADER = 100
PAGE_SIZE = struct.Struct(">16xH2xB")
"""Of the file's header: the size of a page (1 means 65536) and the bytes reserved at its end."""


def logged(log: Path) -> list[int]:
    """Numbers of the pages in a write-ahead log, ascending; none if there is no log."""
    if not log.exists() or log.stat().st_size <= LOG_HEADER:
        return []
    content = np.memmap(log, np.uint8, mode="r")
    header = content[:LOG_HEADER].view(">u4")
    frame = FRAME_HEADER + int(header[2])
    count = (len(content) - LOG_HEADER) // frame
    frames = content[LOG_HEADER : LOG_HEADER + count * frame].reshape(count, frame)
    heads = frames[:, :16].copy().view(">u4")
    # Frames of other salts are left from before the log was last begun anew.
    current = (heads[:, 2:4] == header[4:6]).all(axis=1)
    return [int(page) for page in np.unique(heads[current, 0])]


def reaches(log: int, length: int) -> bool:
    """Whether a write-ahead log, an open file, is about as long since it was last begun anew."""
    header = os.pread(log, LOG_HEADER, 0)
    if len(header) < LOG_HEADER:
        return False
    (page,) = FRAME_SIZE.unpack_from(header)
    frame = FRAME_HEADER + page
    last = length - (length - LOG_HEADER) % frame - frame
    return os.pread(log, 8, last + SALTS_OF_FRAME) == header[SALTS : SALTS + 8]


def gap(page: bytes, usable: int, at: int = 0) -> slice | None:
    """Where a tree's page has nothing; None if it is no tree's. Its header is at byte `at`."""
    header = TREES.get(page[at])
    if header is None:
        return None
    (rows, start) = struct.unpack_from(">HH", page, at + 3)
    hole = slice(at + header + 2 * rows, start or 65536)
    return hole if hole.start < hole.stop <= usable else None


class Scrubber:
    """Overwrites gaps in the database file.

    It may only work while nobody writes to the file, on pages that are in no log any more.

    To be closed after every connection of this process: closing any descriptor of a file drops the
    process's locks on it (fcntl(2)), SQLite's too.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)

    def scrub(self, pages: Iterable[int] | None = None) -> int:
        """Clear the gaps of these pages, or of all; return how many were not clear.

        What was cleared is on the disk when this returns.
        """
        size, reserved = self._layout()
        if not size:
            return 0
        cleared = sum(self._clear(at, size, reserved) for at in self._offsets(pages, size))
        if cleared:
            os.fsync(self._descriptor)
        return cleared

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)

    def _layout(self) -> tuple[int, int]:
        """Size of a page and bytes reserved in it; 0, 0 of an empty file."""
        header = os.pread(self._descriptor, FILE_HEADER, 0)
        if len(header) < FILE_HEADER:
            return 0, 0
        size, reserved = PAGE_SIZE.unpack_from(header)
        return (65536 if size == 1 else size), reserved

    def _offsets(self, pages: Iterable[int] | None, size: int) -> Iterator[int]:
        if pages is None:
            pages = range(1, os.fstat(self._descriptor).st_size // size + 1)
        return ((page - 1) * size for page in pages)

    def _clear(self, offset: int, size: int, reserved: int) -> bool:
        page = os.pread(self._descriptor, size, offset)
        if len(page) < size:
            return False  # the file has become shorter since
        hole = gap(page, size - reserved, 0 if offset else FILE_HEADER)
        if hole is None or not page[hole].strip(b"\0"):
            return False
        os.pwrite(self._descriptor, bytes(hole.stop - hole.start), offset + hole.start)
        return True
