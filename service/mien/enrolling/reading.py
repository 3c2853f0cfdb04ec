"""Files that others may be writing, moving or deleting meanwhile."""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from mien.enrolling.items import Refusal
from mien.vision.images import DEFAULT_LIMITS

ATTEMPTS = 3
RACY_SECONDS = 2.0
"""A file that was changed so short a time ago may be changed again without its times telling:
they have the grain of the file system, up to 2 s (FAT)."""


@dataclass(frozen=True)
class Content:
    """A file's bytes as they were at one moment.

    `stamp` names that state, to know later that nothing changed; empty where it cannot.
    """

    content: bytes
    stamp: str


def stamp(path: Path) -> str | Refusal:
    """What would be different if the file had been changed: size, times and inode."""
    try:
        return _stamp(path.stat())
    except OSError as error:
        return _refusal(error)


def read(path: Path, most: int = DEFAULT_LIMITS.max_bytes) -> Content | Refusal:
    """All of a file, at one moment; at most `most` bytes."""
    try:
        for _ in range(ATTEMPTS):
            if (found := _read(path, most)) is not None:
                return found
    except OSError as error:
        return _refusal(error)
    return Refusal(
        "FILE_CHANGING", f"the file was changed {ATTEMPTS} times while it was read; run again later"
    )


def _read(path: Path, most: int) -> Content | Refusal | None:
    """None: it was changed meanwhile."""
    # To open a pipe would wait for its writer, without O_NONBLOCK.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return Refusal("NOT_A_FILE", "it is no regular file")
        if before.st_size > most:
            return Refusal(
                "IMAGE_TOO_LARGE",
                f"the picture has {before.st_size:,} bytes; at most {most:,} are accepted",
            )
        content = _all(descriptor, before.st_size + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if _stamp(before) != _stamp(after) or len(content) != before.st_size:
        return None
    racy = time.time() - max(before.st_mtime, before.st_ctime) < RACY_SECONDS
    return Content(content, "" if racy else _stamp(before))


def _all(descriptor: int, most: int) -> bytes:
    parts = []
    while most > 0 and (part := os.read(descriptor, most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _refusal(error: OSError) -> Refusal:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Refusal("FILE_VANISHED", "the file is not there (any more)")
    return Refusal("FILE_UNREADABLE", f"the file cannot be read: {error.strerror or error}")
