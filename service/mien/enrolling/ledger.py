"""What became of each picture of a source, in a file: what a run that was killed goes on from.

The gallery is the truth. The ledger only saves work, remembers refusals, and says which samples
came from this source. It is written after the gallery: a picture that was enrolled and is not in
the ledger yet is found in the gallery by its content, and not enrolled again.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from mien.enrolling.items import Outcome, Refusal
from mien.enrolling.naming import shown
from mien.errors import DataDirectoryLocked, StorageFull, StoreInvalid
from mien.shortage import shortage

VERSION = 1
COMMIT_EVERY = 256
"""Changes that a kill may undo at most; the gallery knows what they were of."""

_SCHEMA = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE picture (
  key BLOB NOT NULL, subject_id TEXT NOT NULL, subject TEXT NOT NULL,
  run INTEGER NOT NULL, seq INTEGER NOT NULL,
  stamp TEXT NOT NULL DEFAULT '', sha256 TEXT NOT NULL DEFAULT '', said TEXT NOT NULL DEFAULT '',
  outcome TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '', sample_id TEXT NOT NULL DEFAULT '',
  warnings TEXT NOT NULL DEFAULT '[]', misfit TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (key, subject_id)) WITHOUT ROWID;
CREATE INDEX picture_by_content ON picture (sha256, run, seq) WHERE sha256 != '';
CREATE INDEX picture_by_order ON picture (run, seq);
CREATE INDEX picture_by_sample ON picture (sample_id) WHERE sample_id != '';
CREATE TABLE leaving (sample_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_COLUMNS = (
    "key, subject_id, subject, stamp, sha256, said, outcome, reason, message, sample_id, "
    "warnings, misfit, run"
)

_WRITE = f"""INSERT OR REPLACE INTO picture ({_COLUMNS}, seq)
VALUES ({", ".join(f":{name.strip()}" for name in (*_COLUMNS.split(","), "seq"))})"""  # noqa: S608

_LEAVE = """INSERT OR IGNORE INTO leaving
SELECT DISTINCT sample_id FROM picture AS old WHERE old.run < ? AND sample_id != '' AND NOT EXISTS (
  SELECT 1 FROM picture AS new WHERE new.sample_id = old.sample_id AND new.run = ?)"""

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """A picture. `outcome` is empty until it is known; `sample_id` while the gallery lacks it."""

    key: str
    subject_id: str
    subject: str
    stamp: str = ""
    sha256: str = ""
    said: str = ""
    outcome: Outcome | None = None
    refusal: Refusal | None = None
    sample_id: str = ""
    warnings: tuple[Refusal, ...] = ()
    misfit: str = ""
    """What was found of it when the whole gallery was looked at; empty if it fits."""
    run: int = 0
    """When it was seen last."""


def _locked(
    method: Callable[Concatenate["Ledger", P], Result],
) -> Callable[Concatenate["Ledger", P], Result]:
    """One thread at a time, and sqlite's errors as ours."""

    def wrapped(self: "Ledger", /, *args: P.args, **kwargs: P.kwargs) -> Result:
        with self._lock:
            try:
                return method(self, *args, **kwargs)
            except sqlite3.Error as error:
                raise _translated(error, self.name) from None

    return wrapped


class Ledger:
    """One source's pictures in one gallery. For several threads, and one process at a time.

    `run` counts how often the source was gone through; once it was seen a picture is of this run.
    """

    def __init__(self, path: Path | None, known: "Ledger | None" = None) -> None:
        """None is a ledger in a file without a name, of which not even a kill leaves anything.

        It begins with what is `known`. Raises DataDirectoryLocked (another process has it),
        StoreInvalid and StorageFull.
        """
        self.name = str(path or "among temporary files (TMPDIR says where)")
        self._lock = threading.RLock()
        self._changes = self.seen_now = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # SQLite takes no name for a file that it makes in the folder of temporary ones, and
            # unlinks at once.
            self._db = sqlite3.connect(path or "", timeout=0, check_same_thread=False)
            self._db.isolation_level = None
            self._db.row_factory = sqlite3.Row
            if known is not None:
                known.copy(self._db)
            self._open()
        except sqlite3.Error as error:
            raise _translated(error, self.name) from None

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.execute("BEGIN IMMEDIATE")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            self._db.close()
            raise StoreInvalid(
                f"the ledger {self.name} has format {version}, and this mien knows {VERSION}; "
                "begin a new one with --afresh"
            )
        self.run = int(self._fact("run", "0"))
        self._commit()

    @_locked
    def begin(self, gallery: str) -> None:
        """Another run; forget all if the gallery is another, or was deleted and made anew."""
        self.run += 1
        self.seen_now = 0
        self._tell("run", str(self.run))
        if self._fact("gallery", gallery) != gallery:
            self._db.execute("DELETE FROM picture")
            self._db.execute("DELETE FROM leaving")
        self._tell("gallery", gallery)
        self._commit()

    @_locked
    def find(self, key: str, subject_id: str) -> Row | None:
        """What is known of a picture, from this run or earlier ones."""
        rows = self._rows("key = ? AND subject_id = ?", _bytes(key), subject_id)
        return next(iter(rows), None)

    @_locked
    def twin(self, row: Row) -> Row | None:
        """The first picture that was seen in this run with the same content, if it is another."""
        where = "run = ? AND sha256 = ? AND sha256 != '' ORDER BY seq LIMIT 2"
        for found in self._rows(where, self.run, row.sha256):
            if (found.key, found.subject_id) != (row.key, row.subject_id):
                return found
        return None

    @_locked
    def see(self, row: Row) -> None:
        """Put a picture, as it is known by now, next in the order of this run."""
        self.seen_now += 1
        self._write(row, self.seen_now)

    @_locked
    def settle(self, row: Row) -> None:
        """Change what is known of a picture that was seen, which keeps its place."""
        (seq,) = self._db.execute(
            "SELECT seq FROM picture WHERE key = ? AND subject_id = ?",
            (_bytes(row.key), row.subject_id),
        ).fetchone()
        self._write(row, seq)

    @_locked
    def exchange(self, row: Row, leaving: str) -> None:
        """Settle it, and let a sample that it had go, in one step."""
        self.settle(row)
        self._leave([leaving])

    @_locked
    def rows(self) -> list[Row]:
        """Of small sources, for tests: all of this run."""
        return self._rows("run = ? ORDER BY seq", self.run)

    def walk(self, step: int = 1000) -> Iterator[Row]:
        """All of this run in their order, a few at a time."""
        last = 0
        while True:
            numbers, rows = self._page(last, step)
            if not rows:
                return
            last = numbers[-1]
            yield from rows

    @_locked
    def _page(self, last: int, step: int) -> tuple[list[int], list[Row]]:
        where = "run = ? AND seq > ? ORDER BY seq LIMIT ?"
        rows = self._rows(where, self.run, last, step)
        numbers = self._db.execute(
            f"SELECT seq FROM picture WHERE {where}",  # noqa: S608 - constants
            (self.run, last, step),
        ).fetchall()
        return [number for (number,) in numbers], rows

    @_locked
    def of_sample(self, sample_id: str) -> Row | None:
        """The first picture of this run that has this sample in the gallery."""
        rows = self._rows("sample_id = ? AND run = ? ORDER BY seq LIMIT 1", sample_id, self.run)
        return next(iter(rows), None)

    @_locked
    def counts(self) -> dict[tuple[str, str], int]:
        """Pictures of this run by outcome and reason."""
        rows = self._db.execute(
            "SELECT outcome, reason, COUNT(*) FROM picture WHERE run = ? GROUP BY 1, 2", (self.run,)
        )
        return {(outcome, reason): count for outcome, reason, count in rows}

    @_locked
    def subjects(self) -> int:
        """People who have a picture in this run."""
        (count,) = self._db.execute(
            "SELECT COUNT(DISTINCT subject_id) FROM picture WHERE run = ? AND sha256 != ''",
            (self.run,),
        ).fetchone()
        return int(count)

    @_locked
    def forget_misfits(self) -> None:
        """The gallery is about to be looked at anew."""
        self._db.execute("UPDATE picture SET misfit = '' WHERE misfit != ''")

    @_locked
    def unchecked(self, yes: bool | None = None) -> bool:
        """Whether something came in since the whole gallery was looked at; `yes` says it."""
        if yes is not None:
            self._tell("unchecked", str(int(yes)))
            self._changed()
        return self._fact("unchecked", "0") == "1"

    @_locked
    def remove_missing(self, outcome: Outcome, reason: Refusal) -> None:
        """What was not seen in this run is now of it, as removed; its samples are leaving."""
        self._db.execute(
            _LEAVE,
            (self.run, self.run),
        )
        some = "run < ? AND sample_id != '' ORDER BY run, seq LIMIT 1000"
        while gone := self._rows(some, self.run):
            for row in gone:
                removed = Row(row.key, row.subject_id, row.subject)
                self.see(replace(removed, outcome=outcome, refusal=reason))

    @_locked
    def leaving(self, most: int) -> list[str]:
        """Samples that are to be deleted from the gallery, at most so many."""
        self._commit()  # nobody is deleted by what a kill would undo
        rows = self._db.execute("SELECT sample_id FROM leaving ORDER BY 1 LIMIT ?", (most,))
        return [sample_id for (sample_id,) in rows]

    @_locked
    def left(self, sample_ids: Sequence[str]) -> None:
        """They are deleted."""
        self._db.executemany("DELETE FROM leaving WHERE sample_id = ?", [(s,) for s in sample_ids])
        self._commit()

    @_locked
    def forget_gone(self) -> None:
        """Forget pictures that this run did not see, and of which the gallery has nothing."""
        self._db.execute("DELETE FROM picture WHERE run < ? AND sample_id = ''", (self.run,))
        self._commit()

    @_locked
    def copy(self, target: sqlite3.Connection) -> None:
        """Write it to another database, to try things on."""
        self._db.commit()  # sqlite copies nothing while its own connection writes
        self._db.backup(target)
        self._db.execute("BEGIN IMMEDIATE")

    @_locked
    def commit(self) -> None:
        """What was written so far outlives a kill."""
        self._commit()

    def close(self) -> None:
        with self._lock:
            self._db.commit()
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave(self, sample_ids: Sequence[str]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO leaving VALUES (?)", [(each,) for each in sample_ids]
        )
        self._changed()

    def _rows(self, where: str, *values: object) -> list[Row]:
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM picture WHERE {where}",  # noqa: S608 - constants
            values,
        )
        return [_row(each) for each in found]

    def _write(self, row: Row, seq: int) -> None:
        refusal = row.refusal or Refusal("", "")
        values = {
            "key": _bytes(row.key),
            "subject_id": row.subject_id,
            "subject": row.subject,
            "stamp": row.stamp,
            "sha256": row.sha256,
            "said": row.said,
            "outcome": row.outcome or "",
            "reason": refusal.reason,
            "message": shown(refusal.message),
            "sample_id": row.sample_id,
            "warnings": json.dumps([[each.reason, each.message] for each in row.warnings]),
            "misfit": row.misfit,
            "run": self.run,
            "seq": seq,
        }
        self._db.execute(_WRITE, values)
        self._changed()

    def _changed(self) -> None:
        self._changes += 1
        if self._changes >= COMMIT_EVERY:
            self._commit()

    def _commit(self) -> None:
        self._changes = 0
        self._db.commit()
        self._db.execute("BEGIN IMMEDIATE")

    def _fact(self, name: str, default: str) -> str:
        found = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else default

    def _tell(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))


def _row(found: sqlite3.Row) -> Row:
    reason, message = found["reason"], found["message"]
    return Row(
        key=found["key"].decode("utf-8", "surrogatepass"),
        subject_id=found["subject_id"],
        subject=found["subject"],
        stamp=found["stamp"],
        sha256=found["sha256"],
        said=found["said"],
        outcome=found["outcome"] or None,
        refusal=Refusal(reason, message) if reason else None,
        sample_id=found["sample_id"],
        warnings=tuple(Refusal(*each) for each in json.loads(found["warnings"])),
        misfit=found["misfit"],
        run=found["run"],
    )


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _translated(error: sqlite3.Error, ledger: str) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DataDirectoryLocked(
            f"another mien enroll works with the ledger {ledger}; wait for its end, or name "
            "another with --ledger"
        )
    if short := shortage(error):
        return StorageFull(f"{short.what} for the ledger {ledger}; {short.remedy}, and run again")
    return StoreInvalid(
        f"the ledger {ledger} cannot be used ({error}); begin a new one with --afresh, or name "
        "another with --ledger"
    )
