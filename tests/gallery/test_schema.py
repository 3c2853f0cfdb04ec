"""The version of the database file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mien.errors import StoreInvalid
from mien.gallery import schema
from mien.gallery.galleries import Galleries
from mien.gallery.store import FILE_NAME
from tests.gallery.looks import DIM, MODEL


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
        with pytest.raises(StoreInvalid, match=r"is of schema 99, .* none above 2; install"):
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
    assert user_version(data) == 3


def test_a_migration_that_fails_changes_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Galleries(data).close()
    step = ("ALTER TABLE galleries ADD COLUMN note TEXT", "no SQL")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
        with pytest.raises(StoreInvalid, match="syntax error"):
            Galleries(data)
    assert user_version(data) == 2
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(galleries)")]
    assert "note" not in columns
