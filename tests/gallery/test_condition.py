"""What is wrong with a gallery is found, and what is derived is made anew."""

import os
import sqlite3
from pathlib import Path

import pytest

from mien.errors import DataDirectoryLocked, GalleryNotFound, SettingsInvalid
from mien.gallery import gallery as gallery_module
from mien.gallery.condition import Condition, check, check_directory, is_damage
from mien.gallery.galleries import Galleries
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks

PEOPLE = ["p0", "p1", "p2", "p3"]


@pytest.fixture(autouse=True)
def _small_galleries_have_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_module, "SAVED_FROM", 1)


@pytest.fixture
def staff(galleries: Galleries) -> Galleries:
    for name, vector in zip(PEOPLE, looks(4), strict=True):
        enroll(galleries, name, vector)
    galleries.save_index("staff")
    return galleries


@pytest.fixture
def closed(staff: Galleries, data: Path) -> Path:
    staff.close()
    return data


def kinds(condition: Condition) -> list[tuple[str, bool]]:
    return [(each.what, each.repaired) for each in condition.findings]


def break_index(galleries: Galleries) -> None:
    galleries._gallery("staff").index.rows.vectors[0] *= -1


def flip(path: Path, at: int) -> None:
    """Change a bit of a byte, counted from the end."""
    with path.open("r+b") as file:
        at = file.seek(at, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def damage(data: Path) -> None:
    connection = sqlite3.connect(data / "mien.sqlite3")
    connection.execute("UPDATE subjects SET subject_id = 'x' WHERE subject_id = 'p1'")
    connection.commit()
    connection.close()


class TestBesideOthers:
    def test_nothing_is_wrong_with_a_gallery_as_it_is(self, staff: Galleries) -> None:
        assert check(staff, "staff", check_only=False) == Condition((), 4, 4, 4)

    def test_a_wrong_index_is_made_anew(self, staff: Galleries) -> None:
        break_index(staff)
        assert kinds(check(staff, "staff", check_only=True)) == [("index", False)]
        assert kinds(check(staff, "staff", check_only=True)) == [("index", False)]
        assert kinds(check(staff, "staff", check_only=False)) == [("index", True)]
        assert kinds(check(staff, "staff", check_only=False)) == []
        assert_index_equals_store(staff, PEOPLE)

    def test_a_wrong_file_is_made_anew(self, staff: Galleries, data: Path) -> None:
        flip(data / "staff.index", -20)
        assert kinds(check(staff, "staff", check_only=False)) == [("index file", True)]
        assert kinds(check(staff, "staff", check_only=False)) == []

    def test_of_a_damaged_store_nothing_is_derived(self, staff: Galleries, data: Path) -> None:
        break_index(staff)
        damage(data)
        found = check(staff, "staff", check_only=False)
        assert all(is_damage(each.what) and not each.repaired for each in found.findings)
        assert found.findings
        assert staff.check_index("staff")

    def test_a_missing_gallery_is_refused(self, staff: Galleries) -> None:
        with pytest.raises(GalleryNotFound):
            check(staff, "none", check_only=False)


class TestAlone:
    def test_nothing_is_wrong_with_a_directory_as_it_is(self, closed: Path) -> None:
        assert check_directory(closed, "staff", check_only=False) == Condition((), 4, 4, 4)

    @pytest.mark.parametrize("check_only", [True, False])
    def test_a_wrong_file_is_told_and_made_anew_by_opening(
        self, closed: Path, check_only: bool
    ) -> None:
        flip(closed / "staff.index", -20)
        assert kinds(check_directory(closed, "staff", check_only)) == [("index file", True)]
        assert kinds(check_directory(closed, "staff", check_only)) == []

    def test_a_damaged_store_is_not_opened(
        self, closed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        damage(closed)
        monkeypatch.setattr(Galleries, "__init__", None)
        found = check_directory(closed, "staff", check_only=False)
        assert [is_damage(each.what) for each in found.findings] == [True]
        assert (found.subjects, found.samples) == (4, 4)

    @pytest.mark.parametrize("content", [b"", b"no database" * 1000])
    def test_what_is_no_database_is_damage(self, closed: Path, content: bytes) -> None:
        (closed / "mien.sqlite3").write_bytes(content)
        found = check_directory(closed, "staff", check_only=False)
        assert kinds(found) == [("unreadable", False)]

    def test_a_directory_in_use_is_refused_with_who_has_it(
        self, staff: Galleries, data: Path
    ) -> None:
        with pytest.raises(DataDirectoryLocked, match=f"process {os.getpid()}"):
            check_directory(data, "staff", check_only=True)

    def test_a_directory_without_galleries_is_refused_and_left(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsInvalid, match=r"has no mien\.sqlite3"):
            check_directory(tmp_path / "typo", "staff", check_only=True)
        assert not (tmp_path / "typo").exists()

    def test_a_missing_gallery_is_refused(self, closed: Path) -> None:
        with pytest.raises(GalleryNotFound):
            check_directory(closed, "none", check_only=True)


def test_the_clock_is_no_damage() -> None:
    assert not is_damage("clock")
    assert not is_damage("index")
    assert is_damage("sample")


def test_a_gallery_that_was_never_saved_has_no_file_to_be_wrong(data: Path) -> None:
    with Galleries(data) as galleries:
        galleries.create("new", MODEL, DIM)
    assert check_directory(data, "new", check_only=False) == Condition((), 0, 0, 0)
