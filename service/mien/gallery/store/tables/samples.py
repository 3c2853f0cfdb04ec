"""Rows of samples and their slots. Functions that write are called inside a transaction."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from mien.errors import StoreInvalid
from mien.gallery.records import Quality, Sample
from mien.gallery.store import checksum
from mien.gallery.store.tables import slots
from mien.gallery.times import microseconds_or_none, moment_or_none, to_microseconds, to_moment
from mien.matching.metrics import Vectors

ROW = "samples.key, sample_id, samples.created, source, quality, samples.expires, samples.crc,"
ROW += " content_sha256, vector"
"""What a `Row` is selected by, from samples joined with vectors."""


class Row(NamedTuple):
    """A sample as it is stored, its moments in microseconds since 1970."""

    key: int
    sample_id: str
    created: int
    source: str
    quality: str | None
    expires: int | None
    crc: int
    content_sha256: bytes
    vector: bytes

    @property
    def intact(self) -> bool:
        """Whether its checksum is right."""
        _, sample_id, created, source, quality, expires, crc, digest, vector = self
        computed = checksum.of_sample(sample_id, created, source, quality, expires, digest, vector)
        return crc == computed

    def checked(self) -> "Row":
        """This row. Raises StoreInvalid if it is damaged."""
        if not self.intact:
            raise StoreInvalid(
                f"sample {self.sample_id!r} is damaged in the store: its checksum differs; delete "
                "it and enrol it again, or restore the gallery from a snapshot"
            )
        return self

    @property
    def sample(self) -> Sample:
        return Sample(
            self.sample_id,
            self.content_sha256.hex(),
            to_moment(self.created),
            self.source,
            read_quality(self.quality),
            moment_or_none(self.expires),
        )


class New(NamedTuple):
    """A sample to be added: its subject's key, what is told of it, its vector float32 [D]."""

    subject: int
    sample: Sample
    vector: Vectors

    @property
    def content(self) -> tuple[bytes, bytes]:
        """Hash and vector as bytes."""
        return bytes.fromhex(self.sample.content_sha256), self.vector.astype(
            "<f4", copy=False
        ).tobytes()


def insert(connection: sqlite3.Connection, gallery: int, new: Sequence[New]) -> list[int]:
    """Add samples; return their keys, ascending."""
    contents = [slots.Content(*each.content) for each in new]
    filled = slots.fill(connection, contents)
    first = last_key(connection) + 1
    connection.executemany(
        "INSERT INTO samples (key, gallery, subject, slot, sample_id, created, source, quality,"
        " expires, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (key, gallery, each.subject, slot, *_columns(each.sample, content))
            for key, (each, content, slot) in enumerate(
                zip(new, contents, filled, strict=True), start=first
            )
        ),
    )
    return list(range(first, first + len(new)))


def last_key(connection: sqlite3.Connection) -> int:
    """The largest key that any sample ever had."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'samples'").fetchone()
    return int(row[0]) if row else 0


def of_subjects(connection: sqlite3.Connection, keys: Iterable[int]) -> dict[int, list[Sample]]:
    """Samples by the keys of their subjects, oldest first. Raises StoreInvalid."""
    found: dict[int, list[Sample]] = {}
    for subject, row in rows_of(connection, keys):
        found.setdefault(subject, []).append(row.checked().sample)
    return found


def rows_of(connection: sqlite3.Connection, keys: Iterable[int]) -> Iterator[tuple[int, Row]]:
    """(key of the subject, row) of every sample of these subjects, oldest first."""
    selected = connection.execute(
        f"SELECT subject, {ROW} FROM samples JOIN vectors USING (slot)"  # noqa: S608 - ours
        " WHERE subject IN (SELECT value FROM json_each(?)) ORDER BY samples.key",
        (json.dumps(list(keys)),),
    )
    for subject, *row in selected:
        yield subject, Row(*row)


def vectors_of(connection: sqlite3.Connection, subject: int) -> Vectors:
    """A subject's vectors, oldest first: float32 [n, D], n > 0. Raises StoreInvalid."""
    return read_vectors([row.checked().vector for _, row in rows_of(connection, [subject])])


def keys_of(
    connection: sqlite3.Connection, gallery: int, sample_ids: Iterable[str]
) -> dict[str, int]:
    """Keys of those samples that the gallery has."""
    return dict(
        connection.execute(
            "SELECT sample_id, key FROM samples"
            " WHERE gallery = ? AND sample_id IN (SELECT value FROM json_each(?))",
            (gallery, json.dumps(list(sample_ids))),
        )
    )


def keys_of_subjects(connection: sqlite3.Connection, keys: Iterable[int]) -> list[int]:
    """Keys of all samples of these subjects, ascending."""
    rows = connection.execute(
        "SELECT key FROM samples WHERE subject IN (SELECT value FROM json_each(?)) ORDER BY key",
        (json.dumps(list(keys)),),
    )
    return [key for (key,) in rows]


def delete(connection: sqlite3.Connection, keys: Iterable[int]) -> list[int]:
    """Remove samples and erase their slots; return the keys of their subjects."""
    rows = connection.execute(
        "DELETE FROM samples WHERE key IN (SELECT value FROM json_each(?)) RETURNING subject, slot",
        (json.dumps(list(keys)),),
    ).fetchall()
    slots.erase(connection, [slot for _, slot in rows])
    return sorted({subject for subject, _ in rows})


def move(connection: sqlite3.Connection, subjects: Iterable[int], into: int) -> None:
    """Make the samples of subjects another subject's."""
    connection.execute(
        "UPDATE samples SET subject = ? WHERE subject IN (SELECT value FROM json_each(?))",
        (into, json.dumps(list(subjects))),
    )


def read_vectors(blobs: Sequence[bytes]) -> Vectors:
    """float32 [n, D] of vectors of one length; [0, 0] of none."""
    if not blobs:
        return np.empty((0, 0), np.float32)
    values = np.frombuffer(b"".join(blobs), dtype="<f4").astype(np.float32)
    return values.reshape(len(blobs), -1)


def read_quality(text: str | None) -> Quality | None:
    if text is None:
        return None
    values = json.loads(text)
    return Quality(**{**values, "warnings": tuple(values["warnings"])})


def _write_quality(quality: Quality | None) -> str | None:
    return None if quality is None else json.dumps(asdict(quality))


def _columns(
    sample: Sample, content: slots.Content
) -> tuple[str, int, str, str | None, int | None, int]:
    told = (
        sample.sample_id,
        to_microseconds(sample.created),
        sample.source,
        _write_quality(sample.quality),
        microseconds_or_none(sample.expires),
    )
    return *told, checksum.of_sample(*told, content.digest, content.vector)
