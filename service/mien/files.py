"""Writing files and folders so that a crash leaves the old one or the new one, never half of it."""

import errno
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

    `mode` are its permissions; None leaves them to the process's umask. What cannot be written is
    taken away again, and an OSError of writing names the file.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # of a full disk Python does not tell which file it was
        raise


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """A new file, for its owner only, that is at `path` when the block has ended well, or nowhere.

    Until then it has no name, where the file system can do that, so that not even a killed process
    leaves it behind. Raises OutputExists if there is something at `path`.
    """
    if os.path.lexists(path):
        raise _taken(path)
    descriptor, name = _nameless(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _link(name or f"/proc/self/fd/{file.fileno()}", path)
    except FileExistsError:
        raise _taken(path) from None
    finally:
        if name:
            Path(name).unlink()
    sync(path.parent)


def _link(source: str, path: Path) -> None:
    """Unlike a renaming it never takes the place of what is there."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # With a folder given Python calls linkat(2), which goes from /proc to the file itself.
        os.link(source, path.name, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _taken(path: Path) -> OutputExists:
    return OutputExists(f"{path} is there already; choose another file, or remove it")


def _nameless(folder: Path) -> tuple[int, str]:
    """A file without a name; where that cannot be, a temporary one."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), ""
    except (AttributeError, OSError) as error:  # not Linux, or a file system without them
        unsupported = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
        if isinstance(error, OSError) and error.errno not in unsupported:
            raise
    return tempfile.mkstemp(dir=folder, prefix=".mien-")


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
