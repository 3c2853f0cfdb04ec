"""The file in which a gallery's index outlives the process: a snapshot as of one revision.

It is derived, and never believed: whatever does not fit is said, removed, and built from the store
anew. It holds vectors, so that what is deleted goes from it at once (`erase`). Whose each sample
is, it does not say: the store does.

    MAGIC | length and CRC-32 of the header | header, JSON
    what the inverted file learned | its CRC-32             (nothing if there is none)
    for every `chunk` samples: keys int64 | vectors float32 | lists uint32 | codes uint8 | CRC-32
                                                            (lists and codes likewise)
"""

import json
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from mien.files import sync
from mien.gallery.index.ivf import InvertedFile, ListOf
from mien.gallery.index.nearest import Ints
from mien.gallery.index.packed import Codes
from mien.gallery.index.rows import Rows

FORMAT = 1
SUFFIX, PARTIAL = ".index", ".index.partial"

MAGIC = b"mien index\n"
HEAD = struct.Struct("<II")
CRC = struct.Struct("<I")
LONGEST_HEADER = 1 << 20

CHUNK = 2048
"""Samples under one checksum: what is read to erase one of them. A file says what it has."""


class Unusable(Exception):
    """The file says nothing of the gallery as it is; the message says why. Never leaves the room.

    The store has it all, so that nobody is to do anything.
    """


@dataclass(frozen=True)
class Identity:
    """What a file must be of: this gallery, created then (microseconds), of this model."""

    gallery_id: str
    created: int
    model_fingerprint: str
    dim: int


@dataclass(frozen=True)
class Saved:
    """What was read: samples, whose subjects are not filled in, and what is needed to search."""

    revision: int
    rows: Rows
    inverted: InvertedFile | None


@dataclass(frozen=True)
class Header:
    format: int
    byteorder: str
    gallery_id: str
    created: int
    model_fingerprint: str
    dim: int
    revision: int
    samples: int
    chunk: int
    code_bytes: int
    learned_bytes: int
    recall: float

    @classmethod
    def read(cls, file: BinaryIO) -> Self:
        """Raises Unusable unless it is whole and of this version."""
        if file.read(len(MAGIC)) != MAGIC:
            raise Unusable("it is no index of a gallery")
        length, crc = HEAD.unpack(_read(file, HEAD.size))
        text = _read(file, min(length, LONGEST_HEADER))
        if zlib.crc32(text) != crc:
            raise Unusable("the checksum of its header differs")
        return cls._of(json.loads(text))

    @classmethod
    def _of(cls, values: dict[str, Any]) -> Self:
        if (values.get("format"), values.get("byteorder")) != (FORMAT, sys.byteorder):
            raise Unusable("another version of mien, or another machine, wrote it")
        if values.keys() != {each.name for each in fields(cls)}:
            raise Unusable("its header is not of its version")
        return cls(**values)

    def write(self) -> bytes:
        text = json.dumps(asdict(self)).encode()
        return MAGIC + HEAD.pack(len(text), zlib.crc32(text)) + text

    @property
    def identity(self) -> Identity:
        return Identity(self.gallery_id, self.created, self.model_fingerprint, self.dim)

    @property
    def parts(self) -> tuple[int, ...]:
        """Bytes of a sample in each part of a chunk."""
        parts = (8, 4 * self.dim)
        return (*parts, 4, self.code_bytes) if self.code_bytes else parts

    @property
    def chunks(self) -> Iterator["Chunk"]:
        """Where each begins in the file, and which rows are in it."""
        at = len(self.write()) + (self.learned_bytes + CRC.size if self.learned_bytes else 0)
        for start in range(0, self.samples, self.chunk):
            chunk = Chunk(at, start, min(start + self.chunk, self.samples), self.parts)
            yield chunk
            at = chunk.end

    def check_size(self, size: int) -> None:
        """Raises Unusable unless a file of so many bytes is whole."""
        end = len(self.write()) + (self.learned_bytes + CRC.size if self.learned_bytes else 0)
        end += self.samples * sum(self.parts) + -(-self.samples // self.chunk) * CRC.size
        if size != end:
            raise Unusable(f"it has {size} bytes and should have {end}")


@dataclass(frozen=True)
class Chunk:
    """Rows `first` to `last` (exclusive), from byte `at` of the file on."""

    at: int
    first: int
    last: int
    parts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes, without the checksum."""
        return (self.last - self.first) * sum(self.parts)

    @property
    def end(self) -> int:
        return self.at + self.size + CRC.size

    def places(self, row: int) -> list[tuple[int, int]]:
        """(first byte, how many) of everything but the key of a row, from `at` on."""
        starts = np.cumsum([0, *self.parts[:-1]]) * (self.last - self.first)
        places = zip(starts.tolist(), self.parts, strict=True)
        return [(start + (row - self.first) * width, width) for start, width in places][1:]


def write(
    path: Path, identity: Identity, revision: int, rows: Rows, inverted: InvertedFile | None
) -> None:
    """Replace the file, wholly or not at all. Raises OSError."""
    partial = path.with_name(path.name.removesuffix(SUFFIX) + PARTIAL)
    try:
        with os.fdopen(_create(partial), "wb") as file:
            _write_all(file, identity, revision, rows, inverted)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def read(path: Path, identity: Identity) -> Saved:
    """Raises Unusable, and OSError, FileNotFoundError if there is none."""
    with path.open("rb") as file:
        header = Header.read(file)
        if header.identity != identity:
            raise Unusable(f"it is of {header.identity}")
        header.check_size(os.fstat(file.fileno()).st_size)
        learned = _read_learned(file, header)
        rows = Rows(header.dim, header.samples)
        rows.extend(header.samples)
        lists = np.empty(header.samples, np.uint32)
        codes = np.empty((header.samples, header.code_bytes), np.uint8)
        arrays = (rows.keys, rows.vectors, lists, codes)[: len(header.parts)]
        for chunk in header.chunks:
            _fill(file, [array[chunk.first : chunk.last] for array in arrays])
    inverted = _restore(learned, header.recall, lists, codes) if learned else None
    return Saved(header.revision, rows, inverted)


def erase(path: Path, keys: Ints) -> None:
    """Overwrite what the file holds of the samples of these keys, durably.

    A crash meanwhile leaves a chunk whose checksum differs. Raises Unusable and OSError.
    """
    if not path.exists():
        return
    with path.open("r+b", buffering=0) as file:
        header = Header.read(file)
        header.check_size(os.fstat(file.fileno()).st_size)
        chunks = list(header.chunks)
        blobs = [os.pread(file.fileno(), 8 * (each.last - each.first), each.at) for each in chunks]
        rows = np.flatnonzero(np.isin(np.frombuffer(b"".join(blobs), np.int64), keys))
        for number in set((rows // header.chunk).tolist()):
            _erase(file, chunks[number], rows[rows // header.chunk == number].tolist())
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Durably; does nothing if there is none. Raises OSError."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def remove_strays(directory: Path, known: set[str]) -> None:
    """Remove what crashes left: half-written files, and files of galleries that are no more."""
    for path in directory.iterdir():
        stray = path.name.endswith(SUFFIX) and path.name.removesuffix(SUFFIX) not in known
        if stray or path.name.endswith(PARTIAL):
            remove(path)


def _write_all(
    file: BinaryIO, identity: Identity, revision: int, rows: Rows, inverted: InvertedFile | None
) -> None:
    learned = inverted.trained() if inverted else b""
    arrays: list[npt.NDArray[Any]] = [rows.keys, rows.vectors]
    if inverted:
        arrays += [inverted.list_of, inverted.codes()]
    header = Header(
        format=FORMAT,
        byteorder=sys.byteorder,
        **asdict(identity),
        revision=revision,
        samples=len(rows),
        chunk=CHUNK,
        code_bytes=arrays[-1].shape[1] if inverted else 0,
        learned_bytes=len(learned),
        recall=inverted.recall if inverted else 1.0,
    )
    file.write(header.write())
    if learned:
        file.write(learned + CRC.pack(zlib.crc32(learned)))
    for chunk in header.chunks:
        crc = 0
        for array in arrays:
            part = _bytes(array[chunk.first : chunk.last])
            file.write(part)
            crc = zlib.crc32(part, crc)
        file.write(CRC.pack(crc))


def _read_learned(file: BinaryIO, header: Header) -> bytes:
    if not header.learned_bytes:
        return b""
    learned = _read(file, header.learned_bytes)
    if CRC.unpack(_read(file, CRC.size)) != (zlib.crc32(learned),):
        raise Unusable("the checksum of what its inverted file learned differs")
    return learned


def _restore(learned: bytes, recall: float, lists: ListOf, codes: Codes) -> InvertedFile:
    try:
        return InvertedFile.restore(learned, recall, lists, codes)
    except RuntimeError as error:  # faiss's own, of a file that another faiss wrote
        raise Unusable(f"its inverted file cannot be read: {error}") from error


def _fill(file: BinaryIO, parts: list[npt.NDArray[Any]]) -> None:
    """Read a chunk into its place. Raises Unusable if its checksum differs."""
    crc = 0
    for part in parts:
        into = _bytes(part)
        if file.readinto(into) != len(into):  # type: ignore[attr-defined]
            raise Unusable("it ends in the middle")
        crc = zlib.crc32(into, crc)
    if CRC.unpack(_read(file, CRC.size)) != (crc,):
        raise Unusable("the checksum of some of its samples differs")


def _erase(file: BinaryIO, chunk: Chunk, rows: list[int]) -> None:
    content = bytearray(os.pread(file.fileno(), chunk.size, chunk.at))
    for row in rows:
        for start, width in chunk.places(row):
            content[start : start + width] = bytes(width)
            os.pwrite(file.fileno(), bytes(width), chunk.at + start)
    os.pwrite(file.fileno(), CRC.pack(zlib.crc32(content)), chunk.at + chunk.size)


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _read(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise Unusable("it ends in the middle")
    return content


def _create(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
