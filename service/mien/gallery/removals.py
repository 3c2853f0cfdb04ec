"""Removing samples and subjects, in a transaction, with all that speaks of them."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mien.gallery.records import Deletion
from mien.gallery.tables import galleries, ledger, samples, subjects


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
