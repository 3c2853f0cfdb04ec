"""One writing process for each data directory."""

import fcntl
import os
from pathlib import Path
from typing import Self

from mien.errors import DataDirectoryLocked, MienError, SettingsInvalid, StorageFull
from mien.shortage import shortage

FILE_NAME = "mien.lock"


class DirectoryLock:
    """Held from construction to `close`, or until the process ends, however it ends.

    The kernel holds the lock, so a killed process leaves none behind. The file stays and only
    says who held it last.

    Raises DataDirectoryLocked, naming the holder, SettingsInvalid (not writable) and StorageFull.
    """

    def __init__(self, data: Path) -> None:
        self._descriptor = _open(data)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise DataDirectoryLocked(
                f"{data} is in use by process {holder or 'of unknown id'}; "
                "stop that one, or give this one another data directory"
            ) from None
        try:
            self._sign()
        except OSError as error:
            self.close()
            raise _refusal(data, error) from error

    def _sign(self) -> None:
        # Written before it is cut to length, so that a reader never meets an empty file.
        length = os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        """Let go. Does nothing the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(data: Path) -> int:
    try:
        # What is in there identifies people: nobody but the owner looks in.
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(data / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _refusal(data, error) from None


def _refusal(data: Path, error: OSError) -> MienError:
    if short := shortage(error):
        return StorageFull(short.of(data))
    return SettingsInvalid(
        f"cannot use {data} as data directory: {error.strerror}; make it writable or choose another"
    )
