"""Where vectors and the hashes of their contents lie in the file, so that they can vanish from it.

SQLite's secure_delete does not achieve that alone: when rows move between pages, a copy may stay
in the page that they left (measured with SQLite 3.40.1: of 5,000 deleted rows, bytes of 1 to 8
were still in the file). So a row of `vectors` is a slot that never moves and is never removed. It
is appended, overwritten with zeros when its sample is deleted, and filled again at the same length
by a later sample. `free_slots` lists those that are zeros.
"""

import sqlite3


def fill(connection: sqlite3.Connection, digest: bytes, vector: bytes) -> int:
    """Put a content's digest (32 bytes) and its vector into a slot and return the slot."""
    row = connection.execute(
        "SELECT slot FROM free_slots WHERE length = ? LIMIT 1", (len(vector),)
    ).fetchone()
    if row is None:
        cursor = connection.execute(
            "INSERT INTO vectors (content_sha256, vector) VALUES (?, ?)", (digest, vector)
        )
        return int(cursor.lastrowid or 0)
    slot = int(row[0])
    connection.execute("DELETE FROM free_slots WHERE slot = ?", (slot,))
    connection.execute(
        "UPDATE vectors SET content_sha256 = ?, vector = ? WHERE slot = ?", (digest, vector, slot)
    )
    return slot


def erase(connection: sqlite3.Connection, subjects: list[int]) -> list[int]:
    """Zero and free the slots of all samples of subjects; return the keys of those samples."""
    keys = []
    for subject in subjects:
        rows = connection.execute("SELECT key, slot FROM samples WHERE subject = ?", (subject,))
        for key, slot in rows.fetchall():
            _zero(connection, slot)
            keys.append(key)
    return keys


def _zero(connection: sqlite3.Connection, slot: int) -> None:
    connection.execute(
        "UPDATE vectors SET content_sha256 = zeroblob(length(content_sha256)),"
        " vector = zeroblob(length(vector)) WHERE slot = ?",
        (slot,),
    )
    connection.execute(
        "INSERT INTO free_slots SELECT slot, length(vector) FROM vectors WHERE slot = ?", (slot,)
    )
