"""A gallery in a file of its own, and back.

The file is a database of the store's schema with one gallery, and a stamp that says of what
gallery and revision it is. Its rows are written anew, so that nothing of what was deleted before
travels with them. The ledger of requests stays behind.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mien.errors import (
    GalleryExists,
    GalleryNotFound,
    ModelMismatch,
    OutputExists,
    SnapshotInvalid,
    StoreInvalid,
)
from mien.files import sync
from mien.gallery import integrity
from mien.gallery.records import GalleryInfo, Stamp
from mien.gallery.store.connections import connect_reader, translated
from mien.gallery.store.schema import is_older, migrate
from mien.gallery.store.store import FILE_NAME, Store
from mien.gallery.store.tables import galleries, samples
from mien.gallery.store.transactions import LEFTOVER
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

COPY = (
    """INSERT INTO main.subjects (key, gallery, subject_id, display_name, consent_ref, created,
            expires, last_match, crc)
        SELECT key + :subjects, :into, subject_id, display_name, consent_ref, created, expires,
            last_match, crc
        FROM other.subjects WHERE gallery = :gallery ORDER BY key""",
    """INSERT INTO main.subject_labels (subject, gallery, name, value)
        SELECT subject + :subjects, :into, name, value
        FROM other.subject_labels WHERE gallery = :gallery""",
    """INSERT INTO main.vectors (slot, content_sha256, vector)
        SELECT slot + :slots, content_sha256, vector
        FROM other.vectors JOIN other.samples USING (slot)
        WHERE gallery = :gallery ORDER BY slot""",
    """INSERT INTO main.samples (key, gallery, subject, slot, sample_id, created, source, quality,
            expires, crc)
        SELECT key + :samples, :into, subject + :subjects, slot + :slots, sample_id, created,
            source, quality, expires, crc
        FROM other.samples WHERE gallery = :gallery ORDER BY key""",
)


def snapshot(store: Store, gallery_id: str, target: Path) -> Stamp:
    """Write one gallery of a store to a new file; changes go on meanwhile.

    Raises GalleryNotFound, OutputExists and StorageFull.
    """
    with tempfile.TemporaryDirectory(prefix=LEFTOVER, dir=store.path.parent) as folder:
        whole = Path(folder) / FILE_NAME
        store.journal.copy(whole)
        return _extract(whole, gallery_id, target, store.now())


def _extract(whole: Path, gallery_id: str, target: Path, now: int) -> Stamp:
    """Of a copied database; the file is on the disk at the end."""
    if target.exists():
        raise OutputExists(f"{target} is there already; choose another file, or remove it")
    part = target.with_name(f"{target.name}.part")
    with translated(target):
        try:
            stamp = _write(whole, gallery_id, part, now)
            os.replace(part, target)  # noqa: PTH105 - as below
            sync(target.parent)
        finally:
            part.unlink(missing_ok=True)
    return stamp


def _write(whole: Path, gallery_id: str, part: Path, now: int) -> Stamp:
    with closing(connect_reader(whole)) as source:
        info, gallery = galleries.info(source, gallery_id), galleries.key_of(source, gallery_id)
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        # Until it has its name the file counts for nothing, so that no journal is needed.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        migrate(connection, part)
        connection.execute("ATTACH DATABASE ? AS other", (str(whole),))
        connection.execute("BEGIN")
        into = galleries.insert(connection, info, to_microseconds(info.created))
        _copy(connection, gallery, into)
        stamp = Stamp(
            info.gallery_id,
            info.model_fingerprint,
            info.dim,
            info.revision,
            info.subjects,
            info.samples,
            to_moment(now),
        )
        _stamp(connection, stamp)
        connection.execute("COMMIT")
    sync(part)
    return stamp


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
        findings = integrity.check(connection).findings
        wrong = [finding for finding in findings if finding.what != "clock"]
        if wrong:
            raise StoreInvalid(f"{source} is damaged in {len(wrong)} places: {wrong[0].message}")
        row = connection.execute("SELECT * FROM snapshot").fetchone()
        gallery_id, model, dim, revision, subjects, counted, taken = row
        stamp = Stamp(gallery_id, model, dim, revision, subjects, counted, to_moment(taken))
        return Snapshot(
            stamp,
            galleries.info(connection, stamp.gallery_id),
            galleries.key_of(connection, stamp.gallery_id),
        )


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
    _copy(connection, snapshot.gallery, into)
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


def _copy(connection: sqlite3.Connection, gallery: int, into: int) -> None:
    """Everything of a gallery of `other`, under keys that are free here."""
    values = {
        "gallery": gallery,
        "into": into,
        "subjects": _largest(connection, "key", "subjects"),
        "slots": _largest(connection, "slot", "vectors"),
        "samples": samples.last_key(connection),
    }
    for statement in COPY:
        connection.execute(statement, values)


def _largest(connection: sqlite3.Connection, column: str, table: str) -> int:
    query = f"SELECT coalesce(max({column}), 0) FROM main.{table}"  # noqa: S608 - ours
    return int(connection.execute(query).fetchone()[0])


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
