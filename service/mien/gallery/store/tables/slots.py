"""Where vectors and the hashes of their contents lie in the file, so that they can vanish from it.

SQLite's secure_delete does not achieve that alone: when rows move between pages, a copy may stay
in the page that they left (measured with SQLite 3.40.1: of 5,000 deleted rows, bytes of 1 to 8
were still in the file). So a row of `vectors` is a slot that never moves and is never removed. It
is appended, overwritten with zeros when its sample is deleted, and filled again at the same length
by a later sample. `free_slots` lists those that are zeros.

What may move, texts above all, is seen to by `mien.gallery.store.pages`.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Content(NamedTuple):
    """What fills a slot: a SHA-256 (32 bytes) and a vector (float32, little-endian)."""

    digest: bytes
    vector: bytes


def fill(connection: sqlite3.Connection, contents: Sequence[Content]) -> list[int]:
    """Put contents, of vectors of one length, into slots; return the slot of each."""
    free = _take(connection, len(contents[0].vector), len(contents)) if contents else []
    for content, slot in zip(contents, free, strict=False):
        connection.execute(
            "UPDATE vectors SET content_sha256 = ?, vector = ? WHERE slot = ?",
            (content.digest, content.vector, slot),
        )
    return free + _append(connection, contents[len(free) :])


def erase(connection: sqlite3.Connection, slots: Iterable[int]) -> None:
    """Zero and free slots."""
    these = [(slot,) for slot in slots]
    connection.executemany(
        "UPDATE vectors SET content_sha256 = zeroblob(length(content_sha256)),"
        " vector = zeroblob(length(vector)) WHERE slot = ?",
        these,
    )
    connection.executemany(
        "INSERT INTO free_slots SELECT slot, length(vector) FROM vectors WHERE slot = ?", these
    )


def _take(connection: sqlite3.Connection, length: int, wanted: int) -> list[int]:
    rows = connection.execute(
        "SELECT slot FROM free_slots WHERE length = ? LIMIT ?", (length, wanted)
    )
    free = [slot for (slot,) in rows]
    if free:
        connection.executemany("DELETE FROM free_slots WHERE slot = ?", [(slot,) for slot in free])
    return free


def _append(connection: sqlite3.Connection, contents: Sequence[Content]) -> list[int]:
    (last,) = connection.execute("SELECT coalesce(max(slot), 0) FROM vectors").fetchone()
    new = list(range(last + 1, last + 1 + len(contents)))
    connection.executemany(
        "INSERT INTO vectors (slot, content_sha256, vector) VALUES (?, ?, ?)",
        ((slot, *content) for slot, content in zip(new, contents, strict=True)),
    )
    return new
