"""The version of the database file."""

import hashlib
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mien.errors import StoreInvalid
from mien.gallery.galleries import Galleries
from mien.gallery.records import Check, Enrolled, Retention
from mien.gallery.store import schema
from mien.gallery.store.store import FILE_NAME
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks, sha256


def user_version(data: Path) -> int:
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_carries_its_schema_version(galleries: Galleries, data: Path) -> None:
    assert user_version(data) == len(schema.MIGRATIONS)


def test_a_newer_schema_is_refused_and_the_directory_let_go(data: Path) -> None:
    Galleries(data).close()
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(StoreInvalid, match=r"is of schema 99, .* none above 3; install"):
            Galleries(data)
    assert user_version(data) == 99


def test_an_older_file_is_migrated_with_what_is_in_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
    step = ("ALTER TABLE galleries ADD COLUMN note TEXT",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    with Galleries(data) as galleries:
        assert galleries.get("staff").dim == DIM
    assert user_version(data) == 4


def test_a_migration_that_fails_changes_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Galleries(data).close()
    step = ("ALTER TABLE galleries ADD COLUMN note TEXT", "no SQL")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
        with pytest.raises(StoreInvalid, match="syntax error"):
            Galleries(data)
    assert user_version(data) == 3
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(galleries)")]
    assert "note" not in columns


# As mien 0.1.0 wrote it; not taken from the code, which may change by mistake.
VERSION_1 = """
CREATE TABLE galleries (
    key INTEGER PRIMARY KEY,
    gallery_id TEXT NOT NULL UNIQUE,
    model_fingerprint TEXT NOT NULL,
    dim INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL
);
CREATE TABLE subjects (
    key INTEGER PRIMARY KEY,
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    subject_id TEXT NOT NULL,
    UNIQUE (gallery, subject_id)
);
CREATE TABLE samples (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    subject INTEGER NOT NULL REFERENCES subjects ON DELETE CASCADE,
    slot INTEGER NOT NULL UNIQUE REFERENCES vectors,
    sample_id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
);
CREATE INDEX samples_of_gallery ON samples (gallery);
CREATE INDEX samples_of_subject ON samples (subject);
CREATE TABLE vectors (
    slot INTEGER PRIMARY KEY,
    content_sha256 BLOB NOT NULL,
    vector BLOB NOT NULL
);
CREATE TABLE free_slots (
    slot INTEGER PRIMARY KEY REFERENCES vectors,
    length INTEGER NOT NULL
);
CREATE INDEX free_slots_by_length ON free_slots (length);
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
PEOPLE, DELETED, HOUR = 400, 300, 3_600_000_000


def write_version_1(data: Path) -> None:
    """One gallery with PEOPLE people of a sample each, of whom DELETED are deleted again."""
    data.mkdir()
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.executescript(VERSION_1)
        for statement in ("PRAGMA secure_delete = ON", "PRAGMA foreign_keys = ON"):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO galleries VALUES (1, 'staff', ?, ?, ?, ?)",
            (MODEL, DIM, PEOPLE + DELETED, HOUR),
        )
        for number, look in enumerate(looks(PEOPLE)):
            key = number + 1
            connection.execute("INSERT INTO subjects VALUES (?, 1, ?)", (key, name(number)))
            connection.execute(
                "INSERT INTO vectors VALUES (?, ?, ?)",
                (key, bytes.fromhex(sha256(look)), look.tobytes()),
            )
            connection.execute(
                "INSERT INTO samples VALUES (?, 1, ?, ?, ?, ?)",
                (key, key, key, f"sample{number}", HOUR + number),
            )
        for key in [*range(DELETED - 1), PEOPLE - 1]:
            connection.execute(
                "UPDATE vectors SET content_sha256 = zeroblob(32), vector = zeroblob(?)"
                " WHERE slot = ?",
                (4 * DIM, key + 1),
            )
            connection.execute("INSERT INTO free_slots VALUES (?, ?)", (key + 1, 4 * DIM))
            connection.execute("DELETE FROM subjects WHERE key = ?", (key + 1,))
        connection.commit()


def name(number: int) -> str:
    """In no order, so that rows of the index are put in between others, and moved."""
    return f"{number * 7919 % 1009:04}-person-of-some-length-{number}x"


def test_a_file_of_version_1_is_migrated_with_everybody_in_it(data: Path) -> None:
    write_version_1(data)
    living = range(DELETED - 1, PEOPLE - 1)
    with Galleries(data) as galleries:
        info = galleries.get("staff")
        assert (info.subjects, info.samples, info.revision) == (100, 100, PEOPLE + DELETED)
        assert (info.labels, info.retention) == ({}, Retention())
        for number in living:
            subject = galleries.get_subject("staff", name(number))
            assert [each.sample_id for each in subject.samples] == [f"sample{number}"]
            assert subject.samples[0].content_sha256 == sha256(looks(PEOPLE)[number])
            assert subject.created == subject.samples[0].created
            assert subject.created == datetime(1970, 1, 1, 1, tzinfo=UTC) + timedelta(
                microseconds=number
            )
            assert (subject.labels, subject.display_name, subject.expires) == ({}, "", None)
        assert_index_equals_store(galleries, [name(number) for number in living])
        assert galleries.check() == Check(1, 100, 100, DELETED, ())
        # Keys go on where they were, although the newest sample is gone.
        enroll(galleries, "new", looks(1, seed=3)[0])
        with galleries._store.reading() as connection:
            assert connection.execute("SELECT max(key) FROM samples").fetchone() == (PEOPLE + 1,)
    assert user_version(data) == 3


def test_what_version_1_left_of_the_deleted_is_cleared(data: Path) -> None:
    write_version_1(data)
    Galleries(data).close()
    content = b"".join(path.read_bytes() for path in data.iterdir())
    left = {int(each) for each in re.findall(rb"-length-(\d+)x", content)}
    assert left == set(range(DELETED - 1, PEOPLE - 1))


def test_what_version_2_remembers_of_requests_is_known_by_the_gallery(data: Path) -> None:
    """It knew them by the SHA-256 of the id alone, whichever gallery they were for."""
    first = {}
    with Galleries(data) as galleries:
        for number, gallery_id in enumerate(["staff", "guests", "gone"]):
            galleries.create(gallery_id, MODEL, DIM)
            first[gallery_id] = enroll_ann(galleries, gallery_id, f"r{number}")
        galleries.delete("gone", "d")
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        for key, request_id in enumerate(["r0", "r1", "r2", "d"], 1):
            plain = hashlib.sha256(request_id.encode()).digest()
            connection.execute("UPDATE ledger SET request = ? WHERE key = ?", (plain, key))
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    with Galleries(data) as galleries:
        for number, gallery_id in enumerate(["staff", "guests"]):
            assert enroll_ann(galleries, gallery_id, f"r{number}") == first[gallery_id]
        with galleries._store.reading() as connection:
            assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (2,)
    assert user_version(data) == 3


def enroll_ann(galleries: Galleries, gallery_id: str, request_id: str) -> Enrolled:
    look = looks(1)[0]
    content = sha256(look)
    return galleries.enroll(gallery_id, "ann", look, MODEL, content, request_id=request_id)


def test_a_migrated_file_is_as_a_new_one(data: Path, tmp_path: Path) -> None:
    """The same tables, columns and indexes, whichever way they came to be."""
    write_version_1(data)
    Galleries(data).close()
    Galleries(tmp_path / "new").close()

    def shape(folder: Path) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
            return {
                table: connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
                + connection.execute(f"PRAGMA index_xinfo({table})").fetchall()
                for (table,) in tables
            }

    assert shape(data) == shape(tmp_path / "new")
