"""Writing files and folders so that a crash leaves the old one or the new one, never half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mien.errors import OutputExists


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A path to make a folder at, which gets its name only when the block has ended well.

    Raises OutputExists if there is something of that name.
    """
    if folder.exists():
        raise OutputExists(f"{folder} exists already; choose another name or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sealing-") as temporary:
        staging = Path(temporary) / folder.name
        yield staging
        staging.rename(folder)


@contextmanager
def replaced(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write to, on the disk and in the place of `path` when the block has ended well.

    `mode` are its permissions; None leaves them to the process's umask.
    """
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
