import os
import tracemalloc
from pathlib import Path

import pytest

from mien.enrolling.folder import only_person, scan
from mien.enrolling.items import Entry, Unusable
from mien.errors import DatasetInvalid


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def found(folder: Path) -> list[tuple[str, str]]:
    return [
        (item.key, item.refusal.reason if isinstance(item, Unusable) else item.subject)
        for item in scan(folder)
    ]


def test_people_and_pictures_come_in_order_of_names(tmp_path: Path) -> None:
    tree(tmp_path, "b/2.jpg", "b/10.PNG", "a/x/1.webp", "a/0.bmp", "c/1.pgm")
    assert found(tmp_path) == [
        ("a/0.bmp", "a"),
        ("a/x/1.webp", "a"),
        ("b/10.PNG", "b"),
        ("b/2.jpg", "b"),
        ("c/1.pgm", "c"),
    ]


def test_what_is_no_picture_is_told_of(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.jpg", "a/notes.txt", "a/.hidden.jpg", "top.jpg", "a/folder.jpg/2.jpg")
    (tmp_path / "empty").mkdir()
    assert found(tmp_path) == [
        ("a/1.jpg", "a"),
        ("a/folder.jpg", "NOT_A_FILE"),
        ("a/notes.txt", "NOT_A_PICTURE_NAME"),
        ("empty", "NO_PICTURES"),
        ("top.jpg", "NOT_IN_A_FOLDER"),
    ]


def test_one_person_who_has_folders_and_no_picture_may_be_a_folder_of_people(
    tmp_path: Path,
) -> None:
    high = tree(tmp_path / "high", "people/a/1.jpg", "people/b/1.jpg", "notes.txt")
    assert only_person(high) == high / "people"
    assert only_person(tree(tmp_path / "two", "a/x/1.jpg", "a/y/1.jpg", "b/1.jpg")) is None
    assert only_person(tree(tmp_path / "one", "a/1.jpg", "a/x/1.jpg", "a/y/2.jpg")) is None
    assert only_person(tree(tmp_path / "deep", "a/2024/1.jpg")) is None


def test_a_circle_of_links_is_gone_through_once(tmp_path: Path) -> None:
    tree(tmp_path, "a/deep/1.jpg")
    (tmp_path / "a" / "deep" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "root").symlink_to(tmp_path)
    assert found(tmp_path) == [
        ("a/deep/1.jpg", "a"),
        ("a/deep/up", "LINK_LOOP"),
        ("a/root", "LINK_LOOP"),
        ("a/self", "NOT_A_PICTURE_NAME"),
    ]


def test_a_link_to_elsewhere_is_followed(tmp_path: Path) -> None:
    tree(tmp_path / "disk", "1.jpg")
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "anna").symlink_to(tmp_path / "disk")
    assert found(tmp_path / "people") == [("anna/1.jpg", "anna")]


def test_a_folder_that_vanishes_is_told_of(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.jpg", "b/1.jpg")
    items = scan(tmp_path)
    assert isinstance(next(items), Entry)
    (tmp_path / "b" / "1.jpg").unlink()
    (tmp_path / "b").rmdir()
    (tmp_path / "b").symlink_to(tmp_path / "nowhere")
    assert [item.key for item in items] == ["b"]


def test_a_folder_that_cannot_be_read_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/1.jpg", "b/1.jpg")
    real = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("mien.enrolling.folder.os.scandir", scandir)
    assert found(tmp_path)[0] == ("a", "FOLDER_UNREADABLE")


@pytest.mark.parametrize(
    ("names", "message"), [((), "has no people"), (("anna/1.jpg", "Anna/1.jpg"), "of one name")]
)
def test_what_is_no_folder_of_people_is_refused_at_once(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    tree(tmp_path, *names)
    with pytest.raises(DatasetInvalid, match=message):
        scan(tmp_path)
    with pytest.raises(DatasetInvalid, match="is no folder"):
        scan(tmp_path / "missing")


class Fake:
    """A file system of `people` folders with as many pictures each; nothing is on a disk."""

    def __init__(self, people: int, shots: int) -> None:
        self.people, self.shots = people, shots

    def names(self, folder: Path) -> list[str]:
        one = folder.name != "root"
        return [f"{n:0100}{'.jpg' * one}" for n in range(self.shots if one else self.people)]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mien.enrolling.folder._names", self.names)
        monkeypatch.setattr("mien.enrolling.folder._identity", lambda path: (1, hash(path)))
        monkeypatch.setattr(Path, "is_dir", lambda path: path.suffix == "")


PICTURES = int(os.environ.get("LONG_PICTURES", "40000"))
"""`make kills` asks for a million."""


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one directory's names are held, and those above it, of 150 bytes each."""
    Fake(PICTURES // 200, 200).install(monkeypatch)
    tracemalloc.start()
    try:
        count = sum(1 for _ in scan(Path("/root")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == PICTURES // 200 * 200
    assert peak < 8 * 2**20 + 400 * (PICTURES // 200), peak
