"""Rows of subjects and their labels. Functions that write are called inside a transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mien.errors import StoreInvalid, SubjectNotFound
from mien.gallery.ids import suggestion
from mien.gallery.records import Subject
from mien.gallery.store import checksum
from mien.gallery.store.tables import samples
from mien.gallery.store.tables.galleries import NEIGHBOURS
from mien.gallery.times import moment_or_none, to_moment

ENROL_FIRST = "; enrol a sample of it first"

SELECT = """SELECT key, subject_id, display_name, consent_ref, created, expires, last_match,
    (SELECT json_group_object(name, value) FROM subject_labels WHERE subject = subjects.key), crc
FROM subjects"""

Row = tuple[int, str, str, str, int, int | None, int | None, str, int]


@dataclass(frozen=True)
class Description:
    """What is kept of a subject beside its samples. Moments in microseconds since 1970."""

    subject_id: str
    display_name: str
    consent_ref: str
    created: int
    expires: int | None
    last_match: int | None
    labels: Mapping[str, str]

    @property
    def crc(self) -> int:
        return checksum.of_subject(
            self.subject_id,
            self.display_name,
            self.consent_ref,
            self.created,
            self.expires,
            checksum.write_labels(self.labels),
        )


def keys_of(connection: sqlite3.Connection, gallery: int, ids: Iterable[str]) -> dict[str, int]:
    """Keys of those subjects that the gallery has."""
    return dict(
        connection.execute(
            "SELECT subject_id, key FROM subjects"
            " WHERE gallery = ? AND subject_id IN (SELECT value FROM json_each(?))",
            (gallery, json.dumps(list(ids))),
        )
    )


def key_of(connection: sqlite3.Connection, gallery: int, subject_id: str) -> int:
    """Raises SubjectNotFound."""
    row = connection.execute(
        "SELECT key FROM subjects WHERE gallery = ? AND subject_id = ?", (gallery, subject_id)
    ).fetchone()
    if row is None:
        raise _unknown(connection, gallery, subject_id)
    return int(row[0])


def insert(
    connection: sqlite3.Connection, gallery: int, descriptions: Sequence[Description]
) -> list[int]:
    """Add subjects that the gallery does not have; return their keys."""
    (last,) = connection.execute("SELECT coalesce(max(key), 0) FROM subjects").fetchone()
    keys = list(range(last + 1, last + 1 + len(descriptions)))
    connection.executemany(
        "INSERT INTO subjects (key, gallery, subject_id, display_name, consent_ref, created,"
        " expires, last_match, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                key,
                gallery,
                each.subject_id,
                each.display_name,
                each.consent_ref,
                each.created,
                each.expires,
                each.last_match,
                each.crc,
            )
            for key, each in zip(keys, descriptions, strict=True)
        ),
    )
    _label(connection, gallery, zip(keys, descriptions, strict=True))
    return keys


def update(
    connection: sqlite3.Connection, gallery: int, changes: Mapping[int, Description]
) -> None:
    """Replace what is kept of subjects."""
    connection.executemany(
        "UPDATE subjects SET display_name = ?, consent_ref = ?, created = ?, expires = ?,"
        " last_match = ?, crc = ? WHERE key = ?",
        [
            (
                each.display_name,
                each.consent_ref,
                each.created,
                each.expires,
                each.last_match,
                each.crc,
                key,
            )
            for key, each in changes.items()
        ],
    )
    connection.executemany(
        "DELETE FROM subject_labels WHERE subject = ?", [(key,) for key in changes]
    )
    _label(connection, gallery, changes.items())


def describe(connection: sqlite3.Connection, keys: Iterable[int]) -> dict[int, Description]:
    """What is kept of these subjects. Raises StoreInvalid if a checksum differs."""
    rows = connection.execute(
        f"{SELECT} WHERE key IN (SELECT value FROM json_each(?))",  # noqa: S608 - ours
        (json.dumps(list(keys)),),
    )
    return {row[0]: _read(row) for row in rows}


def read(connection: sqlite3.Connection, keys: Sequence[int]) -> list[Subject]:
    """Subjects with their samples, in the order of `keys`. Raises StoreInvalid."""
    known, theirs = describe(connection, keys), samples.of_subjects(connection, keys)
    return [
        Subject(
            subject_id=each.subject_id,
            display_name=each.display_name,
            labels=each.labels,
            consent_ref=each.consent_ref,
            created=to_moment(each.created),
            expires=moment_or_none(each.expires),
            last_match=moment_or_none(each.last_match),
            samples=tuple(theirs.get(key, ())),
        )
        for key, each in ((key, known[key]) for key in keys)
    ]


def page(
    connection: sqlite3.Connection, gallery: int, after: str, limit: int, labels: Mapping[str, str]
) -> list[int]:
    """Keys of at most `limit` subjects that bear all the labels, ids above `after`, by id."""
    bearing = "".join(
        " AND key IN (SELECT subject FROM subject_labels"
        " WHERE gallery = ? AND name = ? AND value = ?)"
        for _ in labels
    )
    given = [each for label in labels.items() for each in (gallery, *label)]
    rows = connection.execute(
        "SELECT key FROM subjects WHERE gallery = ? AND subject_id > ?"  # noqa: S608 - no values
        f"{bearing} ORDER BY subject_id LIMIT ?",
        (gallery, after, *given, limit),
    )
    return [key for (key,) in rows]


def match(connection: sqlite3.Connection, times: Mapping[tuple[str, str], int]) -> None:
    """Note when (gallery_id, subject_id) were matched, unless a later time is noted already."""
    connection.executemany(
        "UPDATE subjects SET last_match = ?1 WHERE subject_id = ?2 AND gallery ="
        " (SELECT key FROM galleries WHERE gallery_id = ?3) AND coalesce(last_match, 0) < ?1",
        [(at, subject_id, gallery_id) for (gallery_id, subject_id), at in times.items()],
    )


def delete_empty(connection: sqlite3.Connection, keys: Iterable[int]) -> list[int]:
    """Remove those of these subjects that have no sample; return which."""
    rows = connection.execute(
        "DELETE FROM subjects WHERE key IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM samples WHERE subject = subjects.key) RETURNING key",
        (json.dumps(list(keys)),),
    )
    return [key for (key,) in rows]


def _label(
    connection: sqlite3.Connection, gallery: int, described: Iterable[tuple[int, Description]]
) -> None:
    labels = [
        (key, gallery, name, value)
        for key, each in described
        for name, value in each.labels.items()
    ]
    if labels:
        connection.executemany(
            "INSERT INTO subject_labels (subject, gallery, name, value) VALUES (?, ?, ?, ?)", labels
        )


def _read(row: Row) -> Description:
    _, subject_id, display_name, consent_ref, created, expires, last_match, labels, crc = row
    read = Description(
        subject_id, display_name, consent_ref, created, expires, last_match, json.loads(labels)
    )
    if read.crc != crc:
        raise StoreInvalid(
            f"what is stored of subject {subject_id!r} is damaged: its checksum differs; "
            "delete the subject and enrol it again, or restore the gallery from a snapshot"
        )
    return read


def _unknown(connection: sqlite3.Connection, gallery: int, subject_id: str) -> SubjectNotFound:
    ids = connection.execute(
        "SELECT * FROM (SELECT subject_id FROM subjects WHERE gallery = :gallery"
        " AND subject_id >= :id ORDER BY subject_id LIMIT :n) UNION "
        "SELECT * FROM (SELECT subject_id FROM subjects WHERE gallery = :gallery"
        " AND subject_id < :id ORDER BY subject_id DESC LIMIT :n)",
        {"gallery": gallery, "id": subject_id, "n": NEIGHBOURS},
    )
    hint = suggestion(subject_id, [known for (known,) in ids])
    return SubjectNotFound(
        f"there is no subject {subject_id!r} in this gallery{hint or ENROL_FIRST}"
    )
