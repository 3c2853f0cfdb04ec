"""Clearing what SQLite leaves between rows, without touching a row."""

import random
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from mien.gallery.store import pages
from mien.gallery.store.pages import Scrubber, gap, logged, reaches

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.sqlite3"


def connect(path: Path, page: int = PAGE) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in (f"page_size = {page}", "journal_mode = WAL", "wal_autocheckpoint = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def tree(kind: int, rows: int, start: int, at: int = 0) -> bytes:
    """A page of which the header says so much; every other byte is 7."""
    page = bytearray(b"\7" * PAGE)
    struct.pack_into(">BHHHB", page, at, kind, 0, rows, start % 65536, 0)
    return bytes(page)


@pytest.mark.parametrize(
    ("kind", "header"), [(2, 12), (5, 12), (10, 8), (13, 8)], ids=["index", "table", "leaf", "rows"]
)
def test_the_gap_lies_between_pointers_and_rows(kind: int, header: int) -> None:
    assert gap(tree(kind, rows=3, start=4000), PAGE) == slice(header + 6, 4000)
    assert gap(tree(kind, rows=3, start=4000, at=100), PAGE, at=100) == slice(106 + header, 4000)


@pytest.mark.parametrize("kind", [0, 1, 3, 4, 6, 9, 11, 12, 14, 255])
def test_a_page_that_is_no_tree_is_left_alone(kind: int) -> None:
    assert gap(tree(kind, rows=3, start=4000), PAGE) is None


@pytest.mark.parametrize(("rows", "start"), [(3, 14), (3, 10), (3000, 4000), (3, 4097), (0, 65536)])
def test_a_header_that_leaves_no_gap_in_the_page_is_left_alone(rows: int, start: int) -> None:
    assert gap(tree(13, rows, start), PAGE) is None


def test_a_start_of_nothing_means_the_end_of_the_largest_page() -> None:
    page = bytes(tree(13, rows=0, start=65536)).ljust(65536, b"\7")
    assert gap(page, 65536) == slice(8, 65536)


def test_the_log_tells_the_pages_that_were_written(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    assert logged(log) == []
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")  # page 1, the schema, and page 2
        assert logged(log) == [1, 2]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert logged(log) == []
        connection.execute("INSERT INTO t VALUES (1)")
        assert logged(log) == [2]


def test_pages_of_an_older_log_are_not_told_again(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (zeroblob(40000))")
        assert len(logged(log)) > 10
        connection.execute("PRAGMA wal_checkpoint(FULL)")
        connection.execute("CREATE TABLE u (a)")  # begins the log anew over the older one
        assert log.stat().st_size > 10 * PAGE
        assert len(logged(log)) <= 4


@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_how_far_a_log_reaches_is_that_of_the_newest_in_the_file(path: Path, page: int) -> None:
    """Against the length of the file, as long as the log was begun only once."""
    log = path.with_name(f"{path.name}-wal")
    with closing(connect(path, page)) as connection, log.open("ab+", buffering=0) as file:
        assert not reaches(file.fileno(), 10 * page)
        connection.execute("CREATE TABLE t (a)")
        while log.stat().st_size < 40 * page:
            connection.execute("INSERT INTO t VALUES (?)", (bytes(3 * page),))
            for pages_long in (2, 10, 25, 39):
                length = 32 + pages_long * (24 + page)
                assert reaches(file.fileno(), length) == (log.stat().st_size >= length)
                assert reaches(file.fileno(), length + 23 + page) == (log.stat().st_size >= length)
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        assert reaches(file.fileno(), 10 * page)  # until something is written
        connection.execute("DELETE FROM t WHERE rowid = 1")
        assert log.stat().st_size > 40 * page
        assert not reaches(file.fileno(), 15 * page)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not reaches(file.fileno(), page)


@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_any_order_of_changes_loses_no_row_and_keeps_none_that_was_deleted(
    path: Path, page: int
) -> None:
    """Against the same rows in a dictionary, and by SQLite's own check, after each clearing."""
    dice = random.Random(page)  # noqa: S311 - no secret
    rows: dict[int, str] = {}
    gone: set[str] = set()
    log = path.with_name(f"{path.name}-wal")
    path.touch()
    with closing(Scrubber(path)) as scrubber, closing(connect(path, page)) as connection:
        for statement in (
            "PRAGMA secure_delete = ON",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE t (key INTEGER PRIMARY KEY, value TEXT UNIQUE)",
            "CREATE INDEX backwards ON t (value DESC, key)",
        ):
            connection.execute(statement)
        for step in range(3000):
            if rows and dice.random() < 0.45:
                key = dice.choice(list(rows))
                gone.add(rows.pop(key))
                connection.execute("DELETE FROM t WHERE key = ?", (key,))
            else:
                key = dice.randrange(10**6)
                gone |= {rows[key]} if key in rows else set()
                rows[key] = f"<{dice.random():.15f}>" * dice.choice([1, 2, 5, 200])
                connection.execute("REPLACE INTO t VALUES (?, ?)", (key, rows[key]))
            if step % 50 == 0 or step == 2999:
                written = logged(log)
                connection.execute("PRAGMA wal_checkpoint(FULL)")
                scrubber.scrub(written)
                connection.execute("PRAGMA shrink_memory")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert dict(connection.execute("SELECT * FROM t")) == rows
        content = path.read_bytes()
        assert not [value for value in gone if value[:20].encode() in content]
        assert scrubber.scrub() == 0  # nothing is left anywhere
    with closing(sqlite3.connect(path)) as connection:
        assert dict(connection.execute("SELECT * FROM t")) == rows


def test_a_dirty_gap_is_cleared_and_told(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES ('kept')")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            for offset in (PAGE // 2, PAGE + PAGE // 2):
                file.seek(offset)
                file.write(b"left behind")
        with closing(Scrubber(path)) as scrubber:
            assert scrubber.scrub([2]) == 1
            assert path.read_bytes().count(b"left behind") == 1
            assert scrubber.scrub() == 1
            assert scrubber.scrub() == scrubber.scrub([1, 2, 99]) == 0
        assert b"left behind" not in path.read_bytes()
        assert connection.execute("SELECT a FROM t").fetchall() == [("kept",)]


def test_an_empty_file_has_nothing_to_clear(path: Path) -> None:
    path.touch()
    with closing(Scrubber(path)) as scrubber:
        assert scrubber.scrub() == scrubber.scrub([1]) == 0


def test_no_page_number_of_the_largest_file_looks_like_a_tree() -> None:
    first_bytes = {page.to_bytes(4, "big")[0] for page in (0, 1, pages.LARGEST_FILE)}
    assert first_bytes & set(pages.TREES) == set()
    assert (pages.LARGEST_FILE + 1).to_bytes(4, "big")[0] in pages.TREES
