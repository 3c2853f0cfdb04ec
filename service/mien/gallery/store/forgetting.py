"""Who is due to be forgotten, and removing samples and subjects with all that speaks of them.

Functions that remove are called inside a transaction.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mien.gallery.records import Deletion, GalleryInfo
from mien.gallery.store.tables import galleries, ledger, samples, subjects
from mien.gallery.times import MICROSECOND

NEVER = -(2**62)
"""Created before this is nobody: where a gallery keeps people for ever, none is that old."""

TOO_OLD = {
    "samples": "created <= :enrolled AND :enrolled > :never",
    "subjects": "max(coalesce(last_match, created), created) <= :matched AND :matched > :never",
}

Noun = Literal["samples", "subjects"]


@dataclass(frozen=True)
class Removed:
    """Samples out of the store: what to tell the caller, and the keys that the index drops.

    Not `done`: it was, when it was asked for before.
    """

    keys: list[int]
    deletion: Deletion
    done: bool = True


def remove_samples(connection: sqlite3.Connection, keys: Sequence[int]) -> int:
    """Remove samples by key; return how many subjects were left without any and went too."""
    ledger.forget_samples(connection, keys)
    theirs = samples.delete(connection, keys)
    ledger.forget_descriptions(connection, theirs)
    gone = subjects.delete_empty(connection, theirs)
    ledger.forget_subjects(connection, gone)
    return len(gone)


def remove_subjects(
    connection: sqlite3.Connection, gallery: int, keys: Iterable[int], now: int
) -> Removed:
    """Remove subjects by key with all of their samples."""
    theirs = samples.keys_of_subjects(connection, keys)
    remove_samples(connection, theirs)
    return Removed(theirs, Deletion(len(theirs), galleries.grow(connection, gallery, now)))


def remove_gallery(connection: sqlite3.Connection, gallery: int, now: int) -> Removed:
    """Remove a gallery with everybody in it."""
    rows = connection.execute("SELECT key FROM subjects WHERE gallery = ?", (gallery,))
    removed = remove_subjects(connection, gallery, [key for (key,) in rows], now)
    ledger.forget_gallery(connection, gallery)
    galleries.delete(connection, gallery)
    return removed


@dataclass(frozen=True)
class Limits:
    """Who goes: whose own date is `now` or before, and those enrolled or matched by these times.

    All in microseconds since 1970.
    """

    now: int
    enrolled: int
    matched: int

    @classmethod
    def of(cls, info: GalleryInfo, now: int) -> "Limits":
        kept = info.retention
        return cls(
            now,
            NEVER if kept.max_age is None else now - kept.max_age // MICROSECOND,
            NEVER if kept.since_last_match is None else now - kept.since_last_match // MICROSECOND,
        )


def due(connection: sqlite3.Connection, gallery: int, noun: Noun, limits: Limits) -> list[int]:
    """Keys of the samples or the subjects of a gallery that are due, ascending."""
    # A union, so that SQLite looks only at those that have a date of their own, and at all of the
    # gallery only where it keeps nobody for ever.
    rows = connection.execute(
        f"SELECT key FROM {noun} WHERE gallery = :gallery AND expires <= :now"  # noqa: S608 - ours
        f" UNION SELECT key FROM {noun} WHERE gallery = :gallery AND {TOO_OLD[noun]} ORDER BY 1",
        _values(gallery, limits),
    )
    return [key for (key,) in rows]


def still_due(
    connection: sqlite3.Connection, gallery: int, noun: Noun, limits: Limits, keys: Sequence[int]
) -> list[int]:
    """Those of these that are due now as well, and have not been matched or removed meanwhile."""
    rows = connection.execute(
        f"SELECT key FROM {noun} WHERE key IN (SELECT value FROM json_each(:keys))"  # noqa: S608
        f" AND gallery = :gallery AND (expires <= :now OR ({TOO_OLD[noun]})) ORDER BY key",
        {**_values(gallery, limits), "keys": json.dumps(list(keys))},
    )
    return [key for (key,) in rows]


def _values(gallery: int, limits: Limits) -> dict[str, int]:
    return {
        "gallery": gallery,
        "now": limits.now,
        "enrolled": limits.enrolled,
        "matched": limits.matched,
        "never": NEVER,
    }
