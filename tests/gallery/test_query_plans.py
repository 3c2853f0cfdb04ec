"""How SQLite finds what the hot paths ask for: by a key or an index, never by looking at all.

The statements are those that the calls really make, told by SQLite itself, with their values.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Enrolment, SubjectChange
from tests.gallery.looks import DIM, MODEL, looks, sha256

NOW = datetime(2040, 1, 2, tzinfo=UTC)
PEOPLE = 50
LOOKS = looks(4 * PEOPLE)

SCANNED = re.compile(r"^SCAN (?!json_each|CONSTANT ROW|sqlite_sequence|\d)")
"""What begins so in a plan looks at every row of a table. Lists of ours come as JSON; SQLite's own
table of sequences has one row."""

WRITES = ("SELECT", "INSERT", "UPDATE", "DELETE")


class Told:
    """Statements that SQLite carried out, on any connection."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def connect(self, *arguments: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = CONNECT(*arguments, **named)
        connection.set_trace_callback(self._note)
        return connection

    def _note(self, statement: str) -> None:
        # What begins with a dash was done by SQLite itself, for a statement that is here, too.
        if statement.lstrip().startswith(WRITES):
            self.statements.append(statement)


CONNECT = sqlite3.connect


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(sqlite3, "connect", told.connect)
    return told


@pytest.fixture
def staff(told: Told, data: Path) -> Iterator[Galleries]:
    """Fifty people with everything that can be told, in one of two galleries."""
    with Galleries(data) as galleries:
        for gallery_id in ("other", "staff"):
            galleries.create(gallery_id, MODEL, DIM)
            galleries.enroll_many(
                gallery_id, [enrolment(n, gallery_id) for n in range(2 * PEOPLE)], MODEL
            )
        galleries.delete_subject("staff", "p1", "deleted")
        told.statements.clear()
        yield galleries


def enrolment(number: int, gallery_id: str = "staff") -> Enrolment:
    look, about = LOOKS[number], About(labels={"site": "rome"}, expires=NOW.replace(year=2050))
    return Enrolment(f"p{number % PEOPLE}", look, sha256(look), about, f"{gallery_id}{number}")


def new(galleries: Galleries) -> object:
    each = enrolment(3 * PEOPLE)
    return galleries.enroll(
        "staff",
        each.subject_id,
        each.vector,
        MODEL,
        each.content_sha256,
        about=each.about,
        request_id="another",
    )


def sample_id(galleries: Galleries) -> str:
    return galleries.get_subject("staff", "p2").samples[0].sample_id


def matched(galleries: Galleries) -> None:
    galleries.matched("staff", ["p9"])
    galleries.flush_matches()


HOT: dict[str, Callable[[Galleries], object]] = {
    "enrolling": new,
    "enrolling many": lambda galleries: galleries.enroll_many(
        "staff", [enrolment(number) for number in range(2 * PEOPLE, 3 * PEOPLE)], MODEL
    ),
    "a request that is repeated": lambda galleries: galleries.enroll_many(
        "staff", [enrolment(7)], MODEL
    ),
    "a deletion that is repeated": lambda galleries: galleries.delete_subject(
        "staff", "p1", "deleted"
    ),
    "deleting a sample": lambda galleries: galleries.delete_samples(
        "staff", [sample_id(galleries)], "id"
    ),
    "deleting a subject": lambda galleries: galleries.delete_subject("staff", "p3", "id"),
    "merging": lambda galleries: galleries.merge_subjects("staff", "p4", ["p5", "p6"], "id"),
    "changing a subject": lambda galleries: galleries.update_subject(
        "staff", "p7", SubjectChange(display_name="Somebody"), "id"
    ),
    "reading a subject": lambda galleries: galleries.get_subject("staff", "p8"),
    "reading vectors": lambda galleries: galleries.vectors("staff", "p8", MODEL),
    "a page of subjects": lambda galleries: galleries.subjects("staff", "p20", 10),
    "a page by labels": lambda galleries: galleries.subjects("staff", "", 9, {"site": "rome"}),
    "searching": lambda galleries: galleries.search("staff", LOOKS[0], MODEL, 5),
    "searching by labels": lambda galleries: galleries.search(
        "staff", LOOKS[0], MODEL, 5, labels={"site": "rome"}
    ),
    "matching": matched,
}


def plan_of(connection: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def scans(data: Path, told: Told, but: str = "$^") -> list[tuple[str, str]]:
    """(step of a plan, statement) of whatever looks at all rows of a table."""
    statements = list(dict.fromkeys(told.statements))
    assert statements
    with closing(CONNECT(f"{(data / 'mien.sqlite3').as_uri()}?mode=ro", uri=True)) as connection:
        return [
            (step, statement)
            for statement in statements
            for step in plan_of(connection, statement)
            if SCANNED.match(step) and not re.match(but, step)
        ]


@pytest.mark.parametrize("what", HOT)
def test_a_hot_path_looks_at_no_table_as_a_whole(
    staff: Galleries, data: Path, told: Told, what: str
) -> None:
    HOT[what](staff)
    assert scans(data, told) == []


def test_expiry_looks_at_no_table_of_people_as_a_whole(
    staff: Galleries, data: Path, told: Told
) -> None:
    """Galleries are few; of the ledger all that is past its lifetime goes."""
    assert staff.expire(NOW) == []
    assert scans(data, told, but="SCAN (ledger|galleries)") == []
    due = [each for each in told.statements if "expires <=" in each]
    assert len(due) == 2 * 2  # of each gallery the subjects and the samples
    with closing(CONNECT(data / "mien.sqlite3")) as connection:
        plans = "\n".join(step for each in due for step in plan_of(connection, each))
        assert max(steps_of(connection, each) for each in due) < PEOPLE
    for noun in ("subjects", "samples"):
        assert f"COVERING INDEX {noun}_by_expires (gallery=? AND expires<?)" in plans


def steps_of(connection: sqlite3.Connection, statement: str) -> int:
    """Instructions of SQLite's machine."""
    steps = count()
    connection.set_progress_handler(lambda: next(steps) < 0, 1)
    connection.execute(statement).fetchall()
    connection.set_progress_handler(None, 1)
    return next(steps)


def test_a_lookup_by_request_id_is_by_its_index(staff: Galleries, data: Path, told: Told) -> None:
    HOT["a deletion that is repeated"](staff)
    (asked,) = [each for each in told.statements if "FROM ledger WHERE request" in each]
    with closing(CONNECT(data / "mien.sqlite3")) as connection:
        (step,) = plan_of(connection, asked)
    assert step.startswith("SEARCH ledger USING INDEX sqlite_autoindex_ledger_1 (request=?)")


def test_a_scan_would_be_seen(staff: Galleries, data: Path, told: Told) -> None:
    """That the tests above can fail: without an index there is one."""
    HOT["reading vectors"](staff)
    assert scans(data, told) == []
    with closing(CONNECT(data / "mien.sqlite3")) as connection:
        connection.execute("DROP INDEX samples_of_subject")
    assert scans(data, told)


def test_what_a_deletion_drags_along_is_found_by_an_index(staff: Galleries, data: Path) -> None:
    """References to a row that goes are looked for by SQLite, which a plan does not show."""
    del staff
    with closing(CONNECT(data / "mien.sqlite3")) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM pragma_table_list")]
        references = [
            (table, row[3])
            for table in tables
            for row in connection.execute(f"PRAGMA foreign_key_list({table})")
        ]
        assert ("samples", "subject") in references
        for table, column in references:
            plan = plan_of(connection, f"SELECT 1 FROM {table} WHERE {column} = 1")  # noqa: S608
            assert plan[0].startswith("SEARCH"), (table, column)
