"""The one connection that writes, its log, and what happens to both after a commit."""

import logging
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from mien.errors import StorageFull
from mien.gallery.store.connections import BUSY_SECONDS, connect, translated
from mien.gallery.store.pages import Scrubber, logged, reaches

LOG_BYTES = 4 * 2**20
"""How long the log may grow before its pages are moved; as SQLite's own 1,000 pages."""

LONGEST_LOG = 4 * LOG_BYTES
"""What is longer, after a large batch, is cut when the log is begun anew."""

PATIENCE_MILLISECONDS = 10

COPY_PAGES = 1000
LEFTOVER = "mien-copy-"
"""How folders begin that are there for a moment, unless a crash left them."""

UNNAMED = (
    "locking_mode = EXCLUSIVE",  # so that no file is opened a second time, by its name
    "journal_mode = WAL",  # as that which is copied says of itself
    "wal_autocheckpoint = 0",
    "synchronous = OFF",  # it is there for minutes
)

BREATH_SECONDS = 0.001
"""After so many pages of a copy, 4 MB, others may write; who waits for the lock gets it then."""

_log = logging.getLogger(__name__)


class Journal:
    """Transactions, one at a time, each durable at its end. For many threads.

    Raises StoreInvalid (no database, damaged, or of a newer mien) and DataDirectoryLocked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self.lock = threading.RLock()
        with ExitStack() as resources, translated(path):
            path.touch(mode=0o600)  # SQLite gives its log the same mode
            self._scrubber = resources.enter_context(closing(Scrubber(path)))
            self.connection = resources.enter_context(closing(connect(path, self._scrubber)))
            # A deletion cut short by a crash ends here: replayed, scrubbed, out of the log.
            self.settle()
            self.connection.execute(f"PRAGMA journal_size_limit = {LONGEST_LOG}")
            self._log_file = os.open(self._log, os.O_RDONLY)
            resources.callback(os.close, self._log_file)
            self._resources = resources.pop_all()

    @contextmanager
    def transaction(self, keep: bool = True) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; with `keep` false, nothing."""
        with self.lock, translated(self._path):
            before = self.connection.total_changes
            with self.connection as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                if not keep:
                    connection.rollback()
            # A log that was begun anew says so only with its next write: until then it looks long.
            if keep and self.connection.total_changes != before:
                self._settle_if_long()

    def settle(self) -> bool:
        """Move the log's pages into the file, clear what lies between their rows, cut the log.

        False if somebody who reads the older pages kept the log from that, within BUSY_SECONDS.
        Nothing is lost then: the next time does it.
        """
        return self._move("TRUNCATE", BUSY_SECONDS)

    def _move(self, end: str, patience: float) -> bool:
        until = time.monotonic() + patience
        with self.lock, translated(self._path), self._impatient():
            pages = logged(self._log)
            if not self._checkpoint("FULL", until):
                return False
            self._scrubber.scrub(pages)
            # Pages in memory still have what was cleared, and would bring it back when written.
            self.connection.execute("PRAGMA shrink_memory")
            return self._checkpoint(end, until)

    @contextmanager
    def copied(self, folder: Path) -> Iterator[sqlite3.Connection]:
        """The whole database as it is at the end of copying it; changes go on, and it follows them.

        The copy lies on the folder's disk and has no name there: whoever is deleted while it is
        used is in no file, and a crash leaves none.
        """
        with translated(folder), ExitStack() as resources:
            with tempfile.TemporaryDirectory(prefix=LEFTOVER, dir=folder) as hidden:
                copy = sqlite3.connect(f"{hidden}/copy", isolation_level=None)
                resources.enter_context(closing(copy))
                for pragma in UNNAMED:
                    copy.execute(f"PRAGMA {pragma}")
                copy.execute("CREATE TABLE opened (file)")  # SQLite opens files when it needs them
            with self.lock:
                self.connection.backup(copy, pages=COPY_PAGES, progress=self._breathe)
            yield copy

    @contextmanager
    def attached(self, source: Path) -> Iterator[None]:
        """Another database, as `other` to the transactions of the block."""
        with self.lock, translated(source):
            uri = f"{source.absolute().as_uri()}?mode=ro"
            self.connection.execute("ATTACH DATABASE ? AS other", (uri,))
            try:
                yield
            finally:
                self.connection.execute("DETACH DATABASE other")

    def close(self) -> None:
        """Move what is in the log, so that none is left behind, and close."""
        with self.lock:
            try:
                self.settle()
            finally:
                self._resources.close()

    def _checkpoint(self, mode: str, until: float) -> bool:
        while True:
            busy, _, _ = self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            if not busy:
                return True
            if time.monotonic() > until:
                return False

    @contextmanager
    def _impatient(self) -> Iterator[None]:
        """SQLite waits for readers but briefly, and has to be asked again.

        It waits until nobody holds the lock of those who read older pages. But with readers that
        never pause somebody always does: they have passed on to newer pages under the same lock,
        which it sees when it is asked anew.
        """
        self.connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MILLISECONDS}")
        try:
            yield
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {int(1000 * BUSY_SECONDS)}")

    def _breathe(self, *_: int) -> None:
        """Let others write between two steps of a copy."""
        self.lock.release()
        try:
            time.sleep(BREATH_SECONDS)
        finally:
            self.lock.acquire()

    def _settle_if_long(self) -> None:
        if not reaches(self._log_file, LOG_BYTES):
            return
        try:
            # The log is begun anew and not cut: a sync of bytes that are written in place needs no
            # change of the file's size, and takes half as long (benchmarks/gallery_writes.py).
            self._move("RESTART", 0)
        except StorageFull:
            # What was committed is in the log and safe there; so no write fails for this.
            _log.warning(
                "no space to move %s into its database; it grows until there is", self._log
            )
