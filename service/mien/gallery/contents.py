"""What the index reads of the store."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.gallery.nearest import Ints
from mien.matching.metrics import Vectors

PAIR = np.dtype([("key", np.int64), ("subject", np.int64)])


@dataclass(frozen=True, eq=False)
class Owners:
    """Every sample of a gallery by key, ascending, and the key of its subject: int64 [n] each."""

    keys: Ints
    subjects: Ints


@dataclass(frozen=True, eq=False)
class Contents:
    """Samples in order of key: their keys and their subjects' [n], vectors float32 [n, D]."""

    keys: Ints
    subjects: Ints
    vectors: Vectors


def owners(connection: sqlite3.Connection, gallery: int) -> Owners:
    """Of all samples of a gallery."""
    rows = connection.execute(
        "SELECT key, subject FROM samples WHERE gallery = ? ORDER BY key", (gallery,)
    )
    pairs = np.fromiter(rows, PAIR)
    return Owners(np.ascontiguousarray(pairs["key"]), np.ascontiguousarray(pairs["subject"]))


def contents(connection: sqlite3.Connection, gallery: int, after: int, limit: int) -> Contents:
    """At most `limit` samples with keys above `after`."""
    rows = connection.execute(
        "SELECT key, subject, vector FROM samples JOIN vectors USING (slot)"
        " WHERE gallery = ? AND key > ? ORDER BY key LIMIT ?",
        (gallery, after, limit),
    ).fetchall()
    blob = b"".join(vector for _, _, vector in rows)
    values = np.frombuffer(blob, "<f4").astype(np.float32)
    return Contents(
        np.array([key for key, _, _ in rows], np.int64),
        np.array([subject for _, subject, _ in rows], np.int64),
        values.reshape(len(rows), -1) if rows else np.empty((0, 0), np.float32),
    )


def names(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
    """(subject_id, sample_id) by key of those samples that there are."""
    rows = connection.execute(
        "SELECT samples.key, subject_id, sample_id FROM json_each(?)"
        " JOIN samples ON samples.key = value JOIN subjects ON subjects.key = subject",
        (json.dumps(list(keys)),),
    )
    return {key: (subject_id, sample_id) for key, subject_id, sample_id in rows}
