"""The tables of a data directory, and how an older file becomes a newer one.

Only `mien.gallery.store.tables.slots` writes to `vectors` and `free_slots`; it says why.
"""

import sqlite3
from pathlib import Path

from mien.errors import StoreInvalid
from mien.gallery.store import checksum
from mien.gallery.store.tables import ledger

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
    (
        # Moments and durations are in microseconds; crc: `mien.gallery.store.checksum`.
        "ALTER TABLE galleries ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE galleries ADD COLUMN max_age INTEGER",
        "ALTER TABLE galleries ADD COLUMN since_last_match INTEGER",
        "ALTER TABLE galleries ADD COLUMN crc INTEGER NOT NULL DEFAULT 0",
        """UPDATE galleries SET
            changed = max(created, coalesce(
                (SELECT max(created) FROM samples WHERE gallery = galleries.key), 0)),
            crc = crc_of_gallery(gallery_id, model_fingerprint, dim, created, NULL, NULL, '{}')
        """,
        """CREATE TABLE gallery_labels (
            gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (gallery, name)
        ) WITHOUT ROWID""",
        "ALTER TABLE subjects ADD COLUMN display_name TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE subjects ADD COLUMN consent_ref TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE subjects ADD COLUMN created INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE subjects ADD COLUMN expires INTEGER",
        "ALTER TABLE subjects ADD COLUMN last_match INTEGER",
        "ALTER TABLE subjects ADD COLUMN crc INTEGER NOT NULL DEFAULT 0",
        """UPDATE subjects SET created =
            coalesce((SELECT min(created) FROM samples WHERE subject = subjects.key), 0)""",
        "UPDATE subjects SET crc = crc_of_subject(subject_id, '', '', created, NULL, '{}')",
        "CREATE INDEX subjects_by_expires ON subjects (gallery, expires) WHERE expires IS NOT NULL",
        """CREATE TABLE subject_labels (
            subject INTEGER NOT NULL REFERENCES subjects ON DELETE CASCADE,
            gallery INTEGER NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (subject, name)
        ) WITHOUT ROWID""",
        "CREATE INDEX subjects_by_label ON subject_labels (gallery, name, value)",
        # A sample's id is its gallery's, so that a gallery can be restored beside itself.
        """CREATE TABLE new_samples (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
            subject INTEGER NOT NULL REFERENCES subjects ON DELETE CASCADE,
            slot INTEGER NOT NULL UNIQUE REFERENCES vectors,
            sample_id TEXT NOT NULL,
            created INTEGER NOT NULL,
            source TEXT NOT NULL,
            quality TEXT,  -- JSON
            expires INTEGER,
            crc INTEGER NOT NULL,
            UNIQUE (gallery, sample_id)
        )""",
        """INSERT INTO new_samples
            SELECT key, gallery, subject, slot, sample_id, created, '', NULL, NULL,
                crc_of_sample(sample_id, created, '', NULL, NULL, content_sha256, vector)
            FROM samples JOIN vectors USING (slot) ORDER BY key""",
        "DELETE FROM sqlite_sequence WHERE name = 'new_samples'",
        "INSERT INTO sqlite_sequence (name, seq)"
        " SELECT 'new_samples', seq FROM sqlite_sequence WHERE name = 'samples'",
        "DROP TABLE samples",
        "ALTER TABLE new_samples RENAME TO samples",
        "CREATE INDEX samples_of_gallery ON samples (gallery)",
        "CREATE INDEX samples_of_subject ON samples (subject)",
        "CREATE INDEX samples_by_expires ON samples (gallery, expires) WHERE expires IS NOT NULL",
        # What was asked for and answered; mien.gallery.store.tables.ledger says what it keeps.
        """CREATE TABLE ledger (
            key INTEGER PRIMARY KEY,
            request BLOB NOT NULL UNIQUE,
            digest BLOB NOT NULL,
            method TEXT NOT NULL,
            gallery INTEGER NOT NULL,
            subject INTEGER,
            sample INTEGER,
            answer TEXT,
            created INTEGER NOT NULL
        )""",
        "CREATE INDEX ledger_of_gallery ON ledger (gallery)",
        "CREATE INDEX ledger_of_subject ON ledger (subject) WHERE subject IS NOT NULL",
        "CREATE INDEX ledger_of_sample ON ledger (sample) WHERE sample IS NOT NULL",
    ),
    (
        # Request ids are each gallery's own. Of a gallery that is gone the id is, too.
        "DELETE FROM ledger WHERE gallery NOT IN (SELECT key FROM galleries)",
        """UPDATE ledger SET request = hash_within(
            (SELECT gallery_id FROM galleries WHERE key = ledger.gallery), request)""",
    ),
)
"""Statements that take a file from version i to i + 1; the version is SQLite's user_version."""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The file's version, 0 of an empty file. Raises StoreInvalid if a newer mien wrote it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreInvalid(
            f"{path} is of schema {version}, and this mien knows none above {len(MIGRATIONS)}; "
            "install the mien that wrote it, or a newer one"
        )
    return version


def is_older(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is to be migrated. Raises StoreInvalid if a newer mien wrote it."""
    return version_of(connection, path) < len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the newest version, all or nothing.

    Raises StoreInvalid if a newer mien wrote it.
    """
    version = version_of(connection, path)
    if version == len(MIGRATIONS):
        return
    checksum.teach(connection)
    ledger.teach(connection)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
