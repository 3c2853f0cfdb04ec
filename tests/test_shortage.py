"""What a failed write lacks, as the system and SQLite say it."""

import errno
import resource
import sqlite3
from pathlib import Path

import pytest

from mien.shortage import shortage


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "full"),
        OSError(errno.EDQUOT, "quota"),
        of_sqlite(sqlite3.SQLITE_FULL),
    ],
)
def test_a_full_disk(error: Exception) -> None:
    short = shortage(error)
    assert short is not None
    assert short.of(Path("here")) == "no space is left for here; nothing was changed; make room"


UNWRITTEN = [
    OSError(errno.EFBIG, "File too large"),
    of_sqlite(sqlite3.SQLITE_IOERR_WRITE),
    of_sqlite(sqlite3.SQLITE_IOERR_SHMSIZE),
]


@pytest.mark.parametrize("error", UNWRITTEN)
def test_a_limit_of_the_process_is_named(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, resource.RLIM_INFINITY))
    short = shortage(error)
    assert short is not None
    assert short.of(Path("here")) == (
        "this process may write 4,096 bytes to a file at most, too few for here; nothing was "
        "changed; raise that limit (ulimit -f)"
    )


@pytest.mark.parametrize("error", UNWRITTEN)
def test_without_a_limit_it_is_the_disk(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: endless)
    short = shortage(error)
    assert short is not None
    assert short.what == f"the disk does not take what is written ({error})"
    assert short.remedy == "look whether it is full, its quota used up, or the disk failing"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "denied"),
        OSError(errno.EIO, "broken"),
        of_sqlite(sqlite3.SQLITE_IOERR_READ),
        of_sqlite(sqlite3.SQLITE_CORRUPT),
        ValueError("else"),
    ],
)
def test_what_is_no_shortage(error: Exception) -> None:
    assert shortage(error) is None
