"""What takes no more bytes, in the words of SQLite and of the system: a disk, a quota, a limit."""

import errno
import resource
import sqlite3
from dataclasses import dataclass
from pathlib import Path

UNWRITTEN = {
    sqlite3.SQLITE_IOERR_WRITE,  # of a full disk SQLite says SQLITE_FULL; of a quota or limit, this
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,  # a full disk too: the memory that processes share is a file
}
"""SQLite's result codes of a file that could not be written; it keeps errno for itself."""


@dataclass(frozen=True)
class Shortage:
    """`what` there is too little of, and the `remedy`."""

    what: str
    remedy: str

    def of(self, path: Path) -> str:
        """The sentence that a change of a file fails with."""
        return f"{self.what} for {path}; nothing was changed; {self.remedy}"


def shortage(error: BaseException) -> Shortage | None:
    """What there is too little of for a write; None if the error says something else."""
    number = error.errno if isinstance(error, OSError) else None
    code = getattr(error, "sqlite_errorcode", 0)
    if number in {errno.ENOSPC, errno.EDQUOT} or code & 0xFF == sqlite3.SQLITE_FULL:
        return Shortage("no space is left", "make room")
    if number != errno.EFBIG and code not in UNWRITTEN:
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most != resource.RLIM_INFINITY:
        return Shortage(
            f"this process may write {most:,} bytes to a file at most, too few",
            "raise that limit (ulimit -f)",
        )
    return Shortage(
        f"the disk does not take what is written ({error})",
        "look whether it is full, its quota used up, or the disk failing",
    )
