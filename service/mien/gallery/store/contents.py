"""What the index reads of the store."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.gallery.store.tables import samples
from mien.matching.metrics import Vectors

Keys: TypeAlias = npt.NDArray[np.int64]
"""int64 [n], of rows."""

PAIR = np.dtype([("key", np.int64), ("subject", np.int64)])


@dataclass(frozen=True, eq=False)
class Owners:
    """Every sample of a gallery by key, ascending, and the key of its subject: int64 [n] each."""

    keys: Keys
    subjects: Keys


@dataclass(frozen=True, eq=False)
class Contents:
    """Samples in order of key: their keys and their subjects' [n], vectors float32 [n, D]."""

    keys: Keys
    subjects: Keys
    vectors: Vectors


def owners(connection: sqlite3.Connection, gallery: int) -> Owners:
    """Of all samples of a gallery."""
    rows = connection.execute(
        "SELECT key, subject FROM samples WHERE gallery = ? ORDER BY key", (gallery,)
    )
    pairs = np.fromiter(rows, PAIR)
    return Owners(np.ascontiguousarray(pairs["key"]), np.ascontiguousarray(pairs["subject"]))


def contents(connection: sqlite3.Connection, gallery: int, after: int, limit: int) -> Contents:
    """At most `limit` samples with keys above `after`. Raises StoreInvalid if one is damaged."""
    selected = connection.execute(
        f"SELECT subject, {samples.ROW} FROM samples JOIN vectors USING (slot)"  # noqa: S608 - ours
        " WHERE gallery = ? AND samples.key > ? ORDER BY samples.key LIMIT ?",
        (gallery, after, limit),
    ).fetchall()
    rows = [samples.Row(*row).checked() for _, *row in selected]
    return Contents(
        np.array([row.key for row in rows], np.int64),
        np.array([subject for subject, *_ in selected], np.int64),
        samples.read_vectors([row.vector for row in rows]),
    )


def bearing(connection: sqlite3.Connection, gallery: int, labels: Mapping[str, str]) -> Keys:
    """Keys, ascending, of the samples of those subjects that bear all of one or more labels."""
    subjects = " INTERSECT ".join(
        "SELECT subject FROM subject_labels WHERE gallery = ? AND name = ? AND value = ?"
        for _ in labels
    )
    given = [each for label in labels.items() for each in (gallery, *label)]
    rows = connection.execute(
        f"SELECT key FROM samples WHERE subject IN ({subjects}) ORDER BY key",  # noqa: S608 - no values
        given,
    )
    return np.fromiter((key for (key,) in rows), np.int64)


def names(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
    """(subject_id, sample_id) by key of those samples that there are."""
    rows = connection.execute(
        "SELECT samples.key, subject_id, sample_id FROM json_each(?)"
        " CROSS JOIN samples ON samples.key = value JOIN subjects ON subjects.key = subject",
        (json.dumps(list(keys)),),
    )
    return {key: (subject_id, sample_id) for key, subject_id, sample_id in rows}
