"""Whether a vector, a hash or a text is anywhere in a data directory.

Every file is read, whatever it is: the database, its log, indexes, snapshots and what a crash left.

To be called in a process that has no galleries open: closing a file drops the process's locks on it
(fcntl(2)), and with them SQLite's. Beside a server, in another process, it may be called.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mien.errors import InvalidRequest
from mien.gallery.about import check_sha256
from mien.matching.metrics import Vectors

PIECE = 32
"""Bytes of a vector that are looked for as one: a row may be cut in two where a page ends."""

CHUNK = 16 * 2**20
"""Bytes that are read at a time."""

MOST = 100
"""Traces of one needle in one file that are told; more would say no more."""

Needles = dict[str, bytes]


@dataclass(frozen=True)
class Trace:
    """Where something was found: the file, relative to the directory, the byte, and what."""

    file: str
    offset: int
    what: str


@dataclass(frozen=True)
class Proof:
    """Where something was found, and how much was read."""

    traces: tuple[Trace, ...]
    files: int
    bytes: int


def prove_absent(
    data: Path, vector: Vectors | None = None, content_sha256: str = "", text: str = ""
) -> list[Trace]:
    """Where any of what is given is in the files of a directory; nowhere if the list is empty.

    As `prove`.
    """
    return list(prove(data, vector, content_sha256, text).traces)


def prove(
    data: Path, vector: Vectors | None = None, content_sha256: str = "", text: str = ""
) -> Proof:
    """Where any of what is given is in the files of a directory, and how many were read.

    A vector, float32 [D], is looked for in pieces of 8 values, leaving out pieces that are all
    zeros; the hash, in lower case, as bytes and as digits of either case; the text as UTF-8.

    Raises InvalidRequest (nothing to look for, or what is no hash) and OSError (a file that cannot
    be read proves nothing).
    """
    needles = _needles(vector, content_sha256, text)
    if not needles:
        raise InvalidRequest("there is nothing to look for; give a vector, a hash or a text")
    traces: list[Trace] = []
    files = size = 0
    for path in _files(data):
        found, read = _traces(data, path, needles)
        traces, files, size = [*traces, *found], files + 1, size + read
    return Proof(tuple(traces), files, size)


def _needles(vector: Vectors | None, content_sha256: str, text: str) -> Needles:
    needles: Needles = {}
    if vector is not None:
        content = vector.astype("<f4").tobytes()
        for start in range(0, len(content), PIECE):
            if content[start : start + PIECE].strip(b"\0"):
                needles[f"vector from value {start // 4}"] = content[start : start + PIECE]
    if content_sha256:
        check_sha256(content_sha256)
        needles["hash"] = bytes.fromhex(content_sha256)
        needles["hash in digits"] = content_sha256.encode()
        needles["hash in capital digits"] = content_sha256.upper().encode()
    if text:
        needles["text"] = text.encode()
    return needles


def _files(data: Path) -> Iterator[Path]:
    """Every regular file below, and itself if it is one; links are not followed."""
    if data.is_file():
        yield data
    for folder, _, names in os.walk(data, onerror=_refuse):
        for name in sorted(names):
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _refuse(error: OSError) -> None:
    raise error


def _traces(data: Path, path: Path, needles: Needles) -> tuple[list[Trace], int]:
    """What is found in a file, and how many bytes it has."""
    name = str(path.relative_to(data)) if path != data else path.name
    told = dict.fromkeys(needles, 0)
    overlap = max(map(len, needles.values())) - 1
    traces = []
    with path.open("rb") as file:
        kept, start = b"", 0  # `kept` are the last bytes of what was looked at, at `start`
        while chunk := file.read(CHUNK):
            block = kept + chunk
            for what, needle in needles.items():
                # What lies in the kept bytes alone was found before.
                after = max(0, len(kept) - len(needle) + 1)
                for at in islice(_positions(block, needle, after), MOST - told[what]):
                    told[what] += 1
                    traces.append(Trace(name, start + at, what))
            kept = block[max(0, len(block) - overlap) :] if overlap else b""
            start += len(block) - len(kept)
    return traces, start + len(kept)


def _positions(block: bytes, needle: bytes, after: int) -> Iterator[int]:
    at = block.find(needle, after)
    while at >= 0:
        yield at
        at = block.find(needle, at + 1)
