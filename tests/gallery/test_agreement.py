"""Indexes that say something else than the store."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.errors import StoreInvalid
from mien.gallery import gallery as gallery_module
from mien.gallery.galleries import Galleries
from mien.gallery.index.rows import Rows
from mien.gallery.records import Finding
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks

LOOKS = looks(30)
PEOPLE = [f"person{number}" for number in range(6)]


@pytest.fixture(autouse=True)
def small_are_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_module, "SAVED_FROM", 10)


@pytest.fixture
def staff(data: Path) -> Iterator[Galleries]:
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        for number, look in enumerate(LOOKS):
            enroll(galleries, f"person{number // 5}", look)
        galleries.save_index("staff")
        yield galleries


def rows_of(galleries: Galleries) -> Rows:
    return galleries._gallery("staff").index.rows


def test_what_agrees_is_found_in_order(staff: Galleries) -> None:
    assert staff.check_index("staff") == []


def test_a_file_may_be_older_than_the_index(staff: Galleries) -> None:
    staff.delete_subject("staff", "person2")
    enroll(staff, "new", looks(1, seed=9)[0])
    assert staff.check_index("staff") == []


def test_a_gallery_without_a_file_is_in_order(staff: Galleries, data: Path) -> None:
    (data / "staff.index").unlink()
    assert staff.check_index("staff") == []


def lose(rows: Rows) -> None:
    rows.remove(rows.of_keys(np.array([3, 4])))


def invent(rows: Rows) -> None:
    rows.add(np.array([77]), np.array([1]), LOOKS[:1])


def give_away(rows: Rows) -> None:
    rows.subjects[:2] = 6


def bend(rows: Rows) -> None:
    rows.vectors[7, 3] += 1e-6


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, "0 samples are not in the store, 2 are missing"),
        (invent, "1 samples are not in the store, 0 are missing"),
        (give_away, "2 samples are another subject's in the store"),
        (bend, "1 vectors differ from the store's"),
    ],
)
def test_what_differs_in_memory_is_found_and_repaired(
    staff: Galleries, damage: object, message: str
) -> None:
    assert callable(damage)
    damage(rows_of(staff))
    assert staff.check_index("staff") == [Finding("index", message)]
    staff.rebuild_index("staff")
    assert staff.check_index("staff") == []
    assert_index_equals_store(staff, PEOPLE)


def test_a_file_whose_vectors_differ_is_found_though_its_checksums_are_right(
    staff: Galleries,
) -> None:
    bend(rows_of(staff))
    staff.save_index("staff")
    found = {finding.what for finding in staff.check_index("staff")}
    assert found == {"index", "index file"}


def test_a_damaged_file_is_found_and_repaired(staff: Galleries, data: Path) -> None:
    path = data / "staff.index"
    content = bytearray(path.read_bytes())
    content[-99] ^= 1
    path.write_bytes(content)
    (finding,) = staff.check_index("staff")
    assert finding.what == "index file"
    assert finding.message == "staff.index: the checksum of some of its samples differs"
    staff.rebuild_index("staff")
    assert staff.check_index("staff") == []
    assert path.read_bytes() != content


def test_a_file_of_something_else_is_found(staff: Galleries, data: Path) -> None:
    staff.create("other", MODEL, DIM)
    shutil.copy(data / "staff.index", data / "other.index")
    (finding,) = staff.check_index("other")
    assert finding.message.startswith("other.index: it is of Identity(gallery_id='staff'")


def test_a_damaged_store_is_no_measure(staff: Galleries) -> None:
    rows = staff._store.journal.connection
    rows.execute("UPDATE samples SET source = 'x' WHERE key = 5")
    with pytest.raises(StoreInvalid, match="is damaged in the store"):
        staff.check_index("staff")
