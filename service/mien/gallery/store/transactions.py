"""What every part of the store does its work with."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

from mien.errors import DataDirectoryLocked, StorageFull
from mien.gallery.store.connections import Readers, translated
from mien.gallery.store.forgetting import Removed
from mien.gallery.store.journal import LEFTOVER, Journal
from mien.gallery.store.tables import galleries, ledger
from mien.gallery.store.tables.ledger import Asked
from mien.gallery.times import Clock


class Transactions:
    """Changes of a database file, one at a time, and reads beside them and each other.

    Raises StoreInvalid: the file is no database, is damaged, or was written by a newer mien.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        for left in path.parent.glob(f"{LEFTOVER}*"):
            shutil.rmtree(left)
        self.journal = Journal(path)
        self._readers = Readers(path)
        with translated(path):
            self._clock = Clock(galleries.latest(self.journal.connection))

    def now(self) -> int:
        """Microseconds since 1970, never behind what is stored."""
        return self._clock.now()

    def purge(self) -> None:
        """Take deleted bytes out of the write-ahead log and out of the gaps between rows.

        Raises DataDirectoryLocked if a foreign process reads the file and so holds the log, and
        StorageFull if the file cannot grow by what is in the log: deleted all the same.
        """
        try:
            settled = self.journal.settle()
        except StorageFull as error:
            raise StorageFull(
                f"deleted, but no space is left to move the write-ahead log of {self.path}, so "
                "that the bytes stay in it; make room, and they go with the next deletion or start"
            ) from error
        if not settled:
            raise DataDirectoryLocked(
                f"deleted, but another process reads {self.path}, so that the bytes stay in its "
                "write-ahead log; end that process, and they go with the next deletion or start"
            )

    def close(self) -> None:
        try:
            self._readers.close()
        finally:
            self.journal.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the store, for a block that is brief: deletions wait for it."""
        with translated(self.path), self._readers.snapshot() as connection:
            yield connection

    @contextmanager
    def changing(self, keep: bool = True) -> Iterator[tuple[Connection, int]]:
        """All of the block or nothing, and the time; with `keep` false, nothing."""
        with self.journal.transaction(keep) as connection:
            yield connection, self._clock.now()

    def _remember_removal(
        self, connection: Connection, asked: Asked | None, gallery: int, removed: Removed, now: int
    ) -> None:
        ledger.record(connection, [(asked, ledger.Topic(gallery), removed.deletion)], now)
