"""Rows of galleries. Functions that write are called inside a transaction."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta

from mien.errors import GalleryExists, GalleryNotFound, StoreInvalid
from mien.gallery.ids import suggestion
from mien.gallery.records import GalleryInfo, Retention
from mien.gallery.store import checksum
from mien.gallery.times import MICROSECOND, to_moment

NEIGHBOURS = 500
"""Ids looked at on each side, in order of id, to find which one was meant."""

INFO = """SELECT gallery_id, model_fingerprint, dim,
    (SELECT count(*) FROM subjects WHERE gallery = galleries.key),
    (SELECT count(*) FROM samples WHERE gallery = galleries.key),
    revision, created, max_age, since_last_match,
    (SELECT json_group_object(name, value) FROM gallery_labels WHERE gallery = galleries.key), crc
FROM galleries"""

CREATE_FIRST = "; create it first"

Row = tuple[str, str, int, int, int, int, int, int | None, int | None, str, int]


def insert(connection: sqlite3.Connection, info: GalleryInfo, now: int) -> int:
    """Add an empty gallery at the revision of `info`; return its key. Raises GalleryExists."""
    try:
        cursor = connection.execute(
            "INSERT INTO galleries (gallery_id, model_fingerprint, dim, revision, created, changed)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (info.gallery_id, info.model_fingerprint, info.dim, info.revision, now, now),
        )
    except sqlite3.IntegrityError:
        raise GalleryExists(
            f"there is a gallery {info.gallery_id!r} already; choose another id or delete it"
        ) from None
    gallery = int(cursor.lastrowid or 0)
    describe(connection, gallery, info.labels, info.retention)
    return gallery


def describe(
    connection: sqlite3.Connection, gallery: int, labels: Mapping[str, str], retention: Retention
) -> None:
    """Replace a gallery's labels and retention."""
    connection.execute("DELETE FROM gallery_labels WHERE gallery = ?", (gallery,))
    connection.executemany(
        "INSERT INTO gallery_labels VALUES (?, ?, ?)",
        [(gallery, name, value) for name, value in labels.items()],
    )
    row = connection.execute(
        "UPDATE galleries SET max_age = ?, since_last_match = ? WHERE key = ?"
        " RETURNING gallery_id, model_fingerprint, dim, created, max_age, since_last_match",
        (_length(retention.max_age), _length(retention.since_last_match), gallery),
    ).fetchone()
    gallery_id, model, dim, created, age, idle = row
    written = checksum.write_labels(labels)
    crc = checksum.of_gallery(gallery_id, model, dim, created, age, idle, written)
    connection.execute("UPDATE galleries SET crc = ? WHERE key = ?", (crc, gallery))


def info(connection: sqlite3.Connection, gallery_id: str) -> GalleryInfo:
    """Raises GalleryNotFound."""
    row = connection.execute(INFO + " WHERE gallery_id = ?", (gallery_id,)).fetchone()
    if row is None:
        raise _unknown(connection, gallery_id)
    return _read(row)


def page(connection: sqlite3.Connection, after: str, limit: int) -> list[GalleryInfo]:
    """At most `limit` galleries with ids above `after`, in order of id."""
    rows = connection.execute(
        INFO + " WHERE gallery_id > ? ORDER BY gallery_id LIMIT ?", (after, limit)
    )
    return [_read(row) for row in rows]


def key_of(connection: sqlite3.Connection, gallery_id: str) -> int:
    """Raises GalleryNotFound."""
    return place_of(connection, gallery_id)[0]


def place_of(connection: sqlite3.Connection, gallery_id: str) -> tuple[int, int]:
    """A gallery's key and revision. Raises GalleryNotFound."""
    row = connection.execute(
        "SELECT key, revision FROM galleries WHERE gallery_id = ?", (gallery_id,)
    ).fetchone()
    if row is None:
        raise _unknown(connection, gallery_id)
    return int(row[0]), int(row[1])


def model_of(connection: sqlite3.Connection, gallery: int) -> str:
    """The fingerprint of the model that a gallery is bound to."""
    row = connection.execute("SELECT model_fingerprint FROM galleries WHERE key = ?", (gallery,))
    return str(row.fetchone()[0])


def revision_of(connection: sqlite3.Connection, gallery: int) -> int:
    row = connection.execute("SELECT revision FROM galleries WHERE key = ?", (gallery,))
    return int(row.fetchone()[0])


def grow(connection: sqlite3.Connection, gallery: int, now: int) -> int:
    """The next revision, as of `now`."""
    row = connection.execute(
        "UPDATE galleries SET revision = revision + 1, changed = ? WHERE key = ?"
        " RETURNING revision",
        (now, gallery),
    )
    return int(row.fetchone()[0])


def latest(connection: sqlite3.Connection) -> int:
    """When anything was changed last, in microseconds since 1970."""
    row = connection.execute("SELECT coalesce(max(changed), 0) FROM galleries").fetchone()
    return int(row[0])


def delete(connection: sqlite3.Connection, gallery: int) -> None:
    """Remove a gallery that is empty."""
    connection.execute("DELETE FROM galleries WHERE key = ?", (gallery,))


def _unknown(connection: sqlite3.Connection, gallery_id: str) -> GalleryNotFound:
    ids = connection.execute(
        "SELECT * FROM (SELECT gallery_id FROM galleries WHERE gallery_id >= :id"
        " ORDER BY gallery_id LIMIT :n) UNION "
        "SELECT * FROM (SELECT gallery_id FROM galleries WHERE gallery_id < :id"
        " ORDER BY gallery_id DESC LIMIT :n)",
        {"id": gallery_id, "n": NEIGHBOURS},
    )
    hint = suggestion(gallery_id, [known for (known,) in ids])
    return GalleryNotFound(f"there is no gallery {gallery_id!r}{hint or CREATE_FIRST}")


def _read(row: Row) -> GalleryInfo:
    gallery_id, model, dim, subjects, samples, revision, created, age, idle, labels, crc = row
    named = json.loads(labels)
    written = checksum.write_labels(named)
    if crc != checksum.of_gallery(gallery_id, model, dim, created, age, idle, written):
        raise StoreInvalid(
            f"what is stored of gallery {gallery_id!r} is damaged: its checksum differs; "
            "restore it from a snapshot"
        )
    return GalleryInfo(
        gallery_id,
        model,
        dim,
        subjects,
        samples,
        revision,
        to_moment(created),
        named,
        Retention(_duration(age), _duration(idle)),
    )


def _length(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // MICROSECOND


def _duration(microseconds: int | None) -> timedelta | None:
    return None if microseconds is None else microseconds * MICROSECOND
