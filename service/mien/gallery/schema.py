"""The tables of a data directory, and how an older file becomes a newer one.

Only `mien.gallery.slots` writes to `vectors` and `free_slots`; it says why.
"""

import sqlite3
from pathlib import Path

from mien.errors import StoreInvalid

MIGRATIONS = (
    (
        """CREATE TABLE galleries (
            key INTEGER PRIMARY KEY,
            gallery_id TEXT NOT NULL UNIQUE,
            model_fingerprint TEXT NOT NULL,
            dim INTEGER NOT NULL,
            revision INTEGER NOT NULL DEFAULT 0,
            created INTEGER NOT NULL  -- microseconds since 1970, UTC
        )""",
        """CREATE TABLE subjects (
            key INTEGER PRIMARY KEY,
            gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
            subject_id TEXT NOT NULL,
            UNIQUE (gallery, subject_id)
        )""",
        # AUTOINCREMENT: a key is the sample's id in the index, and no other sample's ever again.
        """CREATE TABLE samples (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
            subject INTEGER NOT NULL REFERENCES subjects ON DELETE CASCADE,
            slot INTEGER NOT NULL UNIQUE REFERENCES vectors,
            sample_id TEXT NOT NULL UNIQUE,
            created INTEGER NOT NULL  -- microseconds since 1970, UTC
        )""",
        "CREATE INDEX samples_of_gallery ON samples (gallery)",
        "CREATE INDEX samples_of_subject ON samples (subject)",
        """CREATE TABLE vectors (
            slot INTEGER PRIMARY KEY,
            content_sha256 BLOB NOT NULL,  -- 32 bytes
            vector BLOB NOT NULL  -- float32 [dim], little-endian
        )""",
        """CREATE TABLE free_slots (
            slot INTEGER PRIMARY KEY REFERENCES vectors,
            length INTEGER NOT NULL  -- bytes of its vector
        )""",
        "CREATE INDEX free_slots_by_length ON free_slots (length)",
    ),
)
"""Statements that take a file from version i to i + 1; the version is SQLite's user_version."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the newest version, all or nothing.

    Raises StoreInvalid if a newer mien wrote it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreInvalid(
            f"{path} is of schema {version}, and this mien knows none above {len(MIGRATIONS)}; "
            "install the mien that wrote it, or a newer one"
        )
    if version == len(MIGRATIONS):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
