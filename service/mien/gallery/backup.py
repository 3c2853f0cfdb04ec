"""A gallery in a file of its own, and back.

The file is a database of the store's schema with one gallery, and a stamp that says of what
gallery and revision it is. Its rows are written anew, so that nothing of what was deleted before
travels with them. The ledger of requests stays behind.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from mien.errors import (
    GalleryExists,
    GalleryNotFound,
    ModelMismatch,
    SnapshotInvalid,
    StoreInvalid,
)
from mien.files import created
from mien.gallery import integrity
from mien.gallery.records import GalleryInfo, Stamp
from mien.gallery.store.connections import connect_reader, translated
from mien.gallery.store.journal import LEFTOVER
from mien.gallery.store.schema import is_older, migrate
from mien.gallery.store.store import Store
from mien.gallery.store.tables import galleries
from mien.gallery.times import to_microseconds, to_moment

STAMP = """CREATE TABLE snapshot (
    gallery_id TEXT NOT NULL,
    model_fingerprint TEXT NOT NULL,
    dim INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    subjects INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    taken INTEGER NOT NULL
)"""

LARGEST_NUMBER = 2**40
"""That a key or a revision in a snapshot may be; larger ones would use up those of the store."""

AT_ONCE = 2**20
"""Bytes that are copied at a time."""

COPY = (
    """INSERT INTO {to}.subjects (key, gallery, subject_id, display_name, consent_ref, created,
            expires, last_match, crc)
        SELECT key + :subjects, :into, subject_id, display_name, consent_ref, created, expires,
            last_match, crc
        FROM {of}.subjects WHERE gallery = :gallery ORDER BY key""",
    """INSERT INTO {to}.subject_labels (subject, gallery, name, value)
        SELECT subject + :subjects, :into, name, value
        FROM {of}.subject_labels WHERE gallery = :gallery""",
    """INSERT INTO {to}.vectors (slot, content_sha256, vector)
        SELECT slot + :slots, content_sha256, vector
        FROM {of}.vectors JOIN {of}.samples USING (slot)
        WHERE gallery = :gallery ORDER BY slot""",
    """INSERT INTO {to}.samples (key, gallery, subject, slot, sample_id, created, source, quality,
            expires, crc)
        SELECT key + :samples, :into, subject + :subjects, slot + :slots, sample_id, created,
            source, quality, expires, crc
        FROM {of}.samples WHERE gallery = :gallery ORDER BY key""",
)


SHIFTS = """SELECT
    (SELECT coalesce(max(key), 0) FROM {to}.subjects) + 1
        - coalesce((SELECT min(key) FROM {of}.subjects WHERE gallery = :gallery), 0),
    (SELECT coalesce(max(slot), 0) FROM {to}.vectors) + 1
        - coalesce((SELECT min(slot) FROM {of}.samples WHERE gallery = :gallery), 0),
    coalesce((SELECT seq FROM {to}.sqlite_sequence WHERE name = 'samples'), 0) + 1
        - coalesce((SELECT min(key) FROM {of}.samples WHERE gallery = :gallery), 0)"""
"""By how much keys grow, so that they come right after those that are taken. Not by as many as are
taken: a gallery that is saved and restored again and again would double its keys each time."""

LARGEST = """SELECT max(abs(number)) FROM (
    SELECT key AS number FROM subjects UNION ALL SELECT key FROM samples
    UNION ALL SELECT slot FROM vectors UNION ALL SELECT revision FROM galleries)"""


def snapshot(store: Store, gallery_id: str, target: Path) -> Stamp:
    """Write one gallery of a store to a new file; changes go on meanwhile.

    It never takes the place of a file, not even of one that appears meanwhile, and is there wholly
    or not at all. Raises GalleryNotFound, OutputExists, StorageFull and SettingsInvalid (not
    writable).
    """
    with translated(target), created(target) as out, unnamed(store, gallery_id) as (stamp, file):
        shutil.copyfileobj(file, out, AT_ONCE)
    return stamp


@contextmanager
def unnamed(store: Store, gallery_id: str) -> Iterator[tuple[Stamp, BinaryIO]]:
    """The same to read, in a file on the store's disk that has no name: whoever is deleted while
    it is written or read is in no file of the directory. Raises GalleryNotFound and StorageFull.
    """
    folder = store.path.parent
    with ExitStack() as resources:
        with store.journal.copied(folder) as whole, ExitStack() as hidden:
            part = (
                Path(hidden.enter_context(TemporaryDirectory(prefix=LEFTOVER, dir=folder))) / "part"
            )
            stamp = _prepare(whole, gallery_id, part, store.now())
            file = resources.enter_context(part.open("rb"))
            _attach(whole, part)
            hidden.close()
            _fill(whole, gallery_id)
        yield stamp, file


def _prepare(whole: sqlite3.Connection, gallery_id: str, part: Path, now: int) -> Stamp:
    """A new file with the gallery and a stamp, and nobody in it."""
    info = galleries.info(whole, gallery_id)
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        # It counts for nothing until it is whole, so that it needs no journal, here and below.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        migrate(connection, part)
        galleries.insert(connection, info, to_microseconds(info.created))
        stamp = _stamp_of(info, to_moment(now))
        _stamp(connection, stamp)
    return stamp


def _attach(whole: sqlite3.Connection, part: Path) -> None:
    """A file as `other`."""
    whole.execute("ATTACH DATABASE ? AS other", (str(part),))
    whole.execute("PRAGMA other.journal_mode = OFF")
    whole.execute("PRAGMA other.synchronous = OFF")


def _fill(whole: sqlite3.Connection, gallery_id: str) -> None:
    """Everybody of a gallery into `other`, whose only gallery it is, in one transaction."""
    (into,) = whole.execute("SELECT key FROM other.galleries").fetchone()
    whole.execute("BEGIN")
    _copy(whole, galleries.key_of(whole, gallery_id), into, of="main", to="other")
    whole.execute("COMMIT")


@dataclass(frozen=True)
class Snapshot:
    """A file that was looked at: its stamp, the gallery in it, and that gallery's key there."""

    stamp: Stamp
    info: GalleryInfo
    gallery: int


def read(source: Path) -> Snapshot:
    """What a snapshot is of, after a look at everything in it.

    Raises SnapshotInvalid: no snapshot, damaged, or written by another version of mien.
    """
    try:
        return _read(source)
    except StoreInvalid as error:
        # SQLite's own words where it could not read the file.
        why = error.__cause__ or str(error).replace(str(source), "the file")
        raise SnapshotInvalid(
            f"this is no snapshot that can be restored: {why}; use another copy, or take a new one"
        ) from error


def _read(source: Path) -> Snapshot:
    with translated(source), closing(connect_reader(source)) as connection:
        if is_older(connection, source):
            raise StoreInvalid(f"{source} is of another version of mien")
        # First, so that nothing runs that somebody else put there: a view, a trigger.
        if _tables(connection) != _tables_expected():
            raise StoreInvalid(f"{source} is damaged: its tables are not those of a snapshot")
        findings = integrity.check(connection).findings
        wrong = [finding for finding in findings if finding.what != "clock"]
        if wrong:
            raise StoreInvalid(f"{source} is damaged in {len(wrong)} places: {wrong[0].message}")
        stamps = _stamps(connection)
        infos = galleries.page(connection, "", 2)
        # Nothing else in the file tells a flipped bit of the stamp, or of the revision.
        if not stamps or [_stamp_of(info, stamps[0].taken) for info in infos] != stamps:
            raise StoreInvalid(f"{source} is not of what its stamp says")
        (largest,) = connection.execute(LARGEST).fetchone()
        if largest > LARGEST_NUMBER:
            raise StoreInvalid(f"{source} is damaged: it has a key or a revision of {largest}")
        return Snapshot(stamps[0], infos[0], galleries.key_of(connection, infos[0].gallery_id))


def restore(store: Store, source: Path, snapshot: Snapshot, gallery_id: str) -> GalleryInfo:
    """Take what `read` looked at into a gallery that is new or empty, all or nothing.

    Its samples keep their ids and dates; its revision becomes larger than both were.

    Raises ModelMismatch and GalleryExists.
    """
    with store.journal.attached(source), store.changing() as (connection, now):
        return _restore(connection, snapshot, gallery_id, now)


def _restore(
    connection: sqlite3.Connection, snapshot: Snapshot, gallery_id: str, now: int
) -> GalleryInfo:
    """Of a snapshot that is attached as `other`."""
    into = _empty_gallery(connection, gallery_id, snapshot.info, now)
    _copy(connection, snapshot.gallery, into, of="other", to="main")
    connection.execute(
        "UPDATE main.galleries SET revision = max(revision, ?) WHERE key = ?",
        (snapshot.stamp.revision, into),
    )
    galleries.grow(connection, into, now)
    return galleries.info(connection, gallery_id)


def _empty_gallery(
    connection: sqlite3.Connection, gallery_id: str, wanted: GalleryInfo, now: int
) -> int:
    try:
        known = galleries.info(connection, gallery_id)
    except GalleryNotFound:
        new = GalleryInfo(
            gallery_id,
            wanted.model_fingerprint,
            wanted.dim,
            subjects=0,
            samples=0,
            revision=0,
            created=to_moment(now),
            labels=wanted.labels,
            retention=wanted.retention,
        )
        return galleries.insert(connection, new, now)
    if known.subjects:
        raise GalleryExists(
            f"gallery {gallery_id!r} has {known.subjects} subjects; restore into a new or an empty "
            "gallery"
        )
    if (known.model_fingerprint, known.dim) != (wanted.model_fingerprint, wanted.dim):
        raise ModelMismatch(
            f"gallery {gallery_id!r} is bound to model {known.model_fingerprint!r}, and the "
            f"snapshot is of {wanted.model_fingerprint!r}; restore it into a new gallery"
        )
    return galleries.key_of(connection, gallery_id)


def _tables(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """All that a database is made of."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    return connection.execute(query).fetchall()


def _tables_expected() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, Path(":memory:"))
        connection.execute(STAMP)
        return _tables(connection)


def _copy(connection: sqlite3.Connection, gallery: int, into: int, of: str, to: str) -> None:
    """Everything of a gallery of one database into one of another, under keys that are free."""
    shifts = connection.execute(SHIFTS.format(of=of, to=to), {"gallery": gallery}).fetchone()
    values = {"gallery": gallery, "into": into}
    values |= zip(("subjects", "slots", "samples"), shifts, strict=True)
    for statement in COPY:
        connection.execute(statement.format(of=of, to=to), values)


def _stamps(connection: sqlite3.Connection) -> list[Stamp]:
    rows = connection.execute("SELECT * FROM snapshot")
    return [
        Stamp(gallery_id, model, dim, revision, subjects, counted, to_moment(taken))
        for gallery_id, model, dim, revision, subjects, counted, taken in rows
    ]


def _stamp_of(info: GalleryInfo, taken: datetime) -> Stamp:
    return Stamp(
        info.gallery_id,
        info.model_fingerprint,
        info.dim,
        info.revision,
        info.subjects,
        info.samples,
        taken,
    )


def _stamp(connection: sqlite3.Connection, stamp: Stamp) -> None:
    connection.execute(STAMP)
    connection.execute(
        "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            stamp.gallery_id,
            stamp.model_fingerprint,
            stamp.dim,
            stamp.revision,
            stamp.subjects,
            stamp.samples,
            to_microseconds(stamp.taken),
        ),
    )
