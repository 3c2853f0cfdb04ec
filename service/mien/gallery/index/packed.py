"""Lists of 4-bit codes in the blocks that faiss scans.

faiss's own removal leaves what it removed behind the end of a list, and its addition then ORs the
next code into it (faiss 1.15: after 12 changes of 1,200 codes, 308 were wrong). So we write blocks
ourselves, zeros behind the end.
"""

from typing import Any, TypeAlias

import faiss
import numpy as np
import numpy.typing as npt

from mien.gallery.index.nearest import Ints

Codes: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [n, code bytes]."""

BLOCK = 32
"""Codes that faiss scans at once."""


class PackedLists:
    """The lists of a faiss.IndexIVFPQFastScan: of each entry its row, int64, and its code."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._lists: Any = faiss.downcast_InvertedLists(index.invlists)
        self._packer = index.get_CodePacker()
        self._width = index.pq.code_size

    def read(self, number: int) -> tuple[Ints, Codes]:
        """Rows and codes of a list."""
        size = self._lists.list_size(number)
        return self._rows(number).copy(), self._unpack(number, 0, size)

    def append(self, number: int, rows: Ints, codes: Codes) -> None:
        """Put entries at the end of a list."""
        self._put(number, self._lists.list_size(number), rows, codes)

    def replace(self, number: int, rows: Ints, codes: Codes) -> None:
        """Make these the entries of a list."""
        self._put(number, 0, rows, codes)

    def _put(self, number: int, at: int, rows: Ints, codes: Codes) -> None:
        """Make these the entries from `at` on."""
        first = at // BLOCK
        tail = np.concatenate([self._unpack(number, first, at), codes])
        self._lists.resize(number, at + len(rows))
        if len(rows):
            self._rows(number)[at:] = rows
        if len(tail):
            self._blocks(number)[first:] = self._pack(tail)

    def _pack(self, codes: Codes) -> Codes:
        """uint8 [blocks, bytes of a block], zeros behind the last code."""
        blocks = _blocks_for(len(codes))
        flat = np.zeros((blocks, BLOCK, self._width), np.uint8)
        flat.reshape(-1, self._width)[: len(codes)] = codes
        packed = np.zeros((blocks, self._lists.block_size), np.uint8)
        for source, into in zip(flat, packed, strict=True):
            self._packer.pack_all(faiss.swig_ptr(source), faiss.swig_ptr(into))
        return packed

    def _unpack(self, number: int, first: int, end: int) -> Codes:
        """The codes from a block's first entry on, to `end`."""
        blocks = _blocks_for(end) - first
        flat = np.empty((max(0, blocks), BLOCK, self._width), np.uint8)
        if blocks > 0:
            for source, into in zip(self._blocks(number)[first:], flat, strict=False):
                self._packer.unpack_all(faiss.swig_ptr(source), faiss.swig_ptr(into))
        return flat.reshape(-1, self._width)[: end - first * BLOCK]

    def _rows(self, number: int) -> Ints:
        """faiss's own memory, until the list changes."""
        size = self._lists.list_size(number)
        if not size:
            return np.empty(0, np.int64)
        rows: Ints = faiss.rev_swig_ptr(self._lists.get_ids(number), size)
        return rows

    def _blocks(self, number: int) -> Codes:
        """faiss's own memory, until the list changes; the list is not empty."""
        blocks = _blocks_for(self._lists.list_size(number))
        size = self._lists.block_size
        memory = faiss.rev_swig_ptr(self._lists.get_codes(number), blocks * size)
        return np.asarray(memory).reshape(blocks, size)


def _blocks_for(entries: int) -> int:
    return -(-entries // BLOCK)
