"""Opening the SQLite file so that it loses nothing and keeps nothing that was deleted.

One connection writes. Others only read, so that no reader waits for a writer.
"""

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from mien.errors import (
    DataDirectoryLocked,
    MienError,
    SettingsInvalid,
    StorageFull,
    StoreInvalid,
)
from mien.gallery.store.pages import LARGEST_FILE, Scrubber
from mien.gallery.store.schema import is_older, migrate
from mien.shortage import shortage

NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR}

BUSY_SECONDS = 2.0
"""How long a foreign process that has the file open is waited for."""

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # in WAL mode the only level at which a commit survives a power cut
    "foreign_keys = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",  # no vector in a temporary file
    "wal_autocheckpoint = 0",  # the store moves pages itself, to scrub them (pages.py)
    f"max_page_count = {LARGEST_FILE}",
)


def connect(path: Path, scrubber: Scrubber) -> sqlite3.Connection:
    """Open the file for writing at the newest schema; transactions are begun by hand.

    The connection may go from thread to thread, one at a time.

    Raises StoreInvalid (no database, damaged, or written by a newer mien), DataDirectoryLocked and
    StorageFull.
    """
    with translated(path), ExitStack() as undo:
        connection = undo.enter_context(closing(_open(path)))
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if is_older(connection, path):
            # Older versions did not scrub. Before the migration, so that a crash repeats it.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            scrubber.scrub()
        migrate(connection, path)
        undo.pop_all()
        return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a file that is there for reading only, of the newest schema or as it is.

    The connection may go from thread to thread, one at a time.
    """
    connection = _open(f"{path.absolute().as_uri()}?mode=ro")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


class Readers:
    """As many connections as threads read at once; kept for the next ones. For many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the store as it is now, until the end of the block.

        What was deleted stays in the log for as long, and deletions wait for it: be brief.
        """
        connection = self._take()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.rollback()
            self._give_back(connection)

    def close(self) -> None:
        """Close the connections, those in use once they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the store is closed")
            if self._idle:
                return self._idle.pop()
        return connect_reader(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What SQLite and the file system refuse in the block, as ours, by SQLite's result codes.

    Python cannot decode some texts of a damaged file, nor SQLite's messages that quote them.
    """
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError, OSError) as error:
        raise _translation(path, error) from error


def _translation(path: Path, error: Exception) -> MienError:
    extended: int = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    number = error.errno if isinstance(error, OSError) else None
    if short := shortage(error):
        return StorageFull(short.of(path))
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return DataDirectoryLocked(f"another process uses {path}; end that process")
    if extended == sqlite3.SQLITE_READONLY_DIRECTORY or number in NOT_WRITABLE:
        return SettingsInvalid(f"cannot write {path}: {error}; make it writable, and its folder")
    return StoreInvalid(
        f"{path} cannot be used as the database of galleries: {error}; "
        "restore it from a copy, or choose another data directory"
    )


def _open(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True
    )
