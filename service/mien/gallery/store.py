"""The record of truth: one SQLite file with every gallery of a data directory."""

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mien.errors import (
    DataDirectoryLocked,
    GalleryExists,
    GalleryNotFound,
    SubjectNotFound,
)
from mien.gallery import contents, slots
from mien.gallery.contents import Contents, Owners
from mien.gallery.database import connect, translated
from mien.gallery.ids import suggestion
from mien.gallery.records import Deletion, Enrolled, GalleryInfo, Sample
from mien.matching.metrics import Vectors

FILE_NAME = "mien.sqlite3"

BATCH = 10_000
"""Samples that are read at a time; 5 MB of vectors at 128 dimensions."""

NEIGHBOURS = 500
"""Ids looked at on each side, in order of id, to find which one was meant."""

INFO = """SELECT gallery_id, model_fingerprint, dim,
    (SELECT count(*) FROM subjects WHERE gallery = galleries.key),
    (SELECT count(*) FROM samples WHERE gallery = galleries.key),
    revision, created
FROM galleries"""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CREATE_FIRST = "; create it first"
ENROL_FIRST = "; enrol a sample of it first"


@dataclass(frozen=True)
class Added:
    """A sample in the store: what to tell the caller, and the key that the index needs."""

    key: int
    enrolled: Enrolled


@dataclass(frozen=True)
class Removed:
    """Samples out of the store: what to tell the caller, and the keys that the index drops."""

    keys: list[int]
    deletion: Deletion


class Store:
    """Every change is one transaction and durable when its method returns.

    Safe to use from many threads: one connection, one thread at a time.

    Raises StoreInvalid: the file is no database, is damaged, or was written by a newer mien.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection = connect(path)
        # A deletion cut short by a crash ends here: replayed, and out of the log.
        self._checkpoint()

    def create_gallery(self, gallery_id: str, model_fingerprint: str, dim: int) -> GalleryInfo:
        """Raises GalleryExists."""
        with self._transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO galleries (gallery_id, model_fingerprint, dim, created)"
                    " VALUES (?, ?, ?, ?)",
                    (gallery_id, model_fingerprint, dim, _now()),
                )
            except sqlite3.IntegrityError:
                raise GalleryExists(
                    f"there is a gallery {gallery_id!r} already; choose another id or delete it"
                ) from None
            return self.gallery(gallery_id)

    def gallery(self, gallery_id: str) -> GalleryInfo:
        """Raises GalleryNotFound."""
        with self._reading():
            row = self._connection.execute(INFO + " WHERE gallery_id = ?", (gallery_id,)).fetchone()
            if row is None:
                raise self._unknown_gallery(gallery_id)
            return _read_info(row)

    def galleries(self, after: str, limit: int) -> list[GalleryInfo]:
        """At most `limit` galleries with ids above `after`, in order of id."""
        with self._reading():
            rows = self._connection.execute(
                INFO + " WHERE gallery_id > ? ORDER BY gallery_id LIMIT ?", (after, limit)
            ).fetchall()
        return [_read_info(row) for row in rows]

    def delete_gallery(self, gallery_id: str) -> Removed:
        """Raises GalleryNotFound. The bytes are gone after `purge`."""
        with self._transaction() as connection:
            gallery = self._key(gallery_id)
            rows = connection.execute("SELECT key FROM subjects WHERE gallery = ?", (gallery,))
            removed = self._remove(gallery, [subject for (subject,) in rows])
            connection.execute("DELETE FROM galleries WHERE key = ?", (gallery,))
            return removed

    def add(self, gallery_id: str, subject_id: str, vector: Vectors, content_sha256: str) -> Added:
        """Keep float32 [D] as a sample of a subject, new or known.

        The subject's sample of that very content comes back if there is one.

        Raises GalleryNotFound.
        """
        with self._transaction():
            gallery = self._key(gallery_id)
            subject = self._subject(gallery, subject_id)
            digest = bytes.fromhex(content_sha256)
            if subject is not None and (known := self._sample(subject, digest)):
                key, sample = known
                return Added(key, Enrolled(sample, True, self._revision(gallery)))
            if subject is None:
                subject = self._new_subject(gallery, subject_id)
            key, sample = self._new_sample(gallery, subject, digest, vector)
            return Added(key, Enrolled(sample, False, self._grow(gallery)))

    def delete_subject(self, gallery_id: str, subject_id: str) -> Removed:
        """Raises GalleryNotFound and SubjectNotFound. The bytes are gone after `purge`."""
        with self._transaction():
            gallery = self._key(gallery_id)
            return self._remove(gallery, [self._known_subject(gallery, subject_id)])

    def vectors(self, gallery_id: str, subject_id: str) -> Vectors:
        """A subject's vectors, oldest first: float32 [n, D], n > 0.

        Raises GalleryNotFound and SubjectNotFound.
        """
        with self._reading():
            subject = self._known_subject(self._key(gallery_id), subject_id)
            rows = self._connection.execute(
                "SELECT vector FROM samples JOIN vectors USING (slot) WHERE subject = ?"
                " ORDER BY key",
                (subject,),
            ).fetchall()
        return _read_vectors([vector for (vector,) in rows])

    def owners(self, gallery_id: str) -> Owners:
        """Keys of all samples of a gallery and of their subjects. Raises GalleryNotFound."""
        with self._reading():
            return contents.owners(self._connection, self._key(gallery_id))

    def contents(self, gallery_id: str, after: int = 0) -> Iterator[Contents]:
        """Samples of a gallery with keys above `after`, in order. Raises GalleryNotFound."""
        while True:
            with self._reading():
                batch = contents.contents(self._connection, self._key(gallery_id), after, BATCH)
            if not len(batch.keys):
                return
            yield batch
            after = int(batch.keys[-1])

    def names(self, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
        """(subject_id, sample_id) by key of those of these samples that there are."""
        with self._reading():
            return contents.names(self._connection, keys)

    def purge(self) -> None:
        """Take deleted bytes out of the write-ahead log, where older pages are kept.

        Raises DataDirectoryLocked if a foreign process reads the file and so holds the log.
        """
        if not self._checkpoint():
            raise DataDirectoryLocked(
                f"deleted, but another process reads {self._path}, so that the bytes stay in its "
                "write-ahead log; end that process, and they go with the next deletion or start"
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, translated(self._path):
            yield

    def _checkpoint(self) -> bool:
        with self._reading():
            row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return bool(row[0] == 0)

    def _key(self, gallery_id: str) -> int:
        row = self._connection.execute(
            "SELECT key FROM galleries WHERE gallery_id = ?", (gallery_id,)
        ).fetchone()
        if row is None:
            raise self._unknown_gallery(gallery_id)
        return int(row[0])

    def _revision(self, gallery: int) -> int:
        row = self._connection.execute("SELECT revision FROM galleries WHERE key = ?", (gallery,))
        return int(row.fetchone()[0])

    def _grow(self, gallery: int) -> int:
        self._connection.execute(
            "UPDATE galleries SET revision = revision + 1 WHERE key = ?", (gallery,)
        )
        return self._revision(gallery)

    def _subject(self, gallery: int, subject_id: str) -> int | None:
        row = self._connection.execute(
            "SELECT key FROM subjects WHERE gallery = ? AND subject_id = ?", (gallery, subject_id)
        ).fetchone()
        return int(row[0]) if row else None

    def _known_subject(self, gallery: int, subject_id: str) -> int:
        subject = self._subject(gallery, subject_id)
        if subject is None:
            raise self._unknown_subject(gallery, subject_id)
        return subject

    def _new_subject(self, gallery: int, subject_id: str) -> int:
        cursor = self._connection.execute(
            "INSERT INTO subjects (gallery, subject_id) VALUES (?, ?)", (gallery, subject_id)
        )
        return _inserted(cursor)

    def _sample(self, subject: int, digest: bytes) -> tuple[int, Sample] | None:
        row = self._connection.execute(
            "SELECT key, sample_id, content_sha256, created FROM samples JOIN vectors USING (slot)"
            " WHERE subject = ? AND content_sha256 = ?",
            (subject, digest),
        ).fetchone()
        if row is None:
            return None
        key, sample_id, content, created = row
        return key, Sample(sample_id, content.hex(), _read_time(created))

    def _new_sample(
        self, gallery: int, subject: int, digest: bytes, vector: Vectors
    ) -> tuple[int, Sample]:
        slot = slots.fill(self._connection, digest, vector.astype("<f4").tobytes())
        sample_id, created = uuid.uuid4().hex, _now()
        cursor = self._connection.execute(
            "INSERT INTO samples (gallery, subject, slot, sample_id, created)"
            " VALUES (?, ?, ?, ?, ?)",
            (gallery, subject, slot, sample_id, created),
        )
        return _inserted(cursor), Sample(sample_id, digest.hex(), _read_time(created))

    def _remove(self, gallery: int, subjects: list[int]) -> Removed:
        keys = slots.erase(self._connection, subjects)
        self._connection.executemany(
            "DELETE FROM subjects WHERE key = ?", [(subject,) for subject in subjects]
        )
        return Removed(keys, Deletion(len(keys), self._grow(gallery)))

    def _unknown_gallery(self, gallery_id: str) -> GalleryNotFound:
        ids = self._connection.execute(
            "SELECT * FROM (SELECT gallery_id FROM galleries WHERE gallery_id >= :id"
            " ORDER BY gallery_id LIMIT :n) UNION "
            "SELECT * FROM (SELECT gallery_id FROM galleries WHERE gallery_id < :id"
            " ORDER BY gallery_id DESC LIMIT :n)",
            {"id": gallery_id, "n": NEIGHBOURS},
        )
        hint = suggestion(gallery_id, [known for (known,) in ids])
        return GalleryNotFound(f"there is no gallery {gallery_id!r}{hint or CREATE_FIRST}")

    def _unknown_subject(self, gallery: int, subject_id: str) -> SubjectNotFound:
        ids = self._connection.execute(
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


def _inserted(cursor: sqlite3.Cursor) -> int:
    return int(cursor.lastrowid or 0)


def _now() -> int:
    return (datetime.now(UTC) - EPOCH) // timedelta(microseconds=1)


def _read_time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _read_info(row: tuple[str, str, int, int, int, int, int]) -> GalleryInfo:
    gallery_id, model_fingerprint, dim, subjects, samples, revision, created = row
    return GalleryInfo(
        gallery_id, model_fingerprint, dim, subjects, samples, revision, _read_time(created)
    )


def _read_vectors(blobs: Sequence[bytes]) -> Vectors:
    values = np.frombuffer(b"".join(blobs), dtype="<f4").astype(np.float32)
    return values.reshape(len(blobs), -1)
