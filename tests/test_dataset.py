import hashlib
import unicodedata
from pathlib import Path

import pytest

from mien.dataset import digest, read, scan
from mien.errors import DatasetInvalid
from tests.faces import encoded, folder_of_people


def test_people_and_pictures_come_in_order_of_name(tmp_path: Path) -> None:
    people = scan(folder_of_people(tmp_path, people=3, shots=2))
    assert [person.name for person in people] == ["person-0", "person-1", "person-2"]
    assert [path.name for path in people[1].pictures] == ["0.png", "1.png"]


def test_files_that_are_no_pictures_are_passed_over(tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=1, shots=1)
    (tmp_path / "README.txt").write_text("who they are")
    (tmp_path / "person-0" / ".hidden.png").write_bytes(b"")
    (tmp_path / "person-0" / "notes.txt").write_text("")
    (tmp_path / "person-0" / "folder.png").mkdir()
    (tmp_path / "person-0" / "link.png").symlink_to(tmp_path / "nothing.png")
    assert [len(person.pictures) for person in scan(tmp_path)] == [1]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="nowhere is no folder"):
        scan(tmp_path / "nowhere")


def test_a_folder_without_people_is_refused_with_the_layout_that_is_expected(
    tmp_path: Path,
) -> None:
    (tmp_path / "loose.png").write_bytes(encoded(1, 1))
    with pytest.raises(DatasetInvalid, match="<person>/<picture>"):
        scan(tmp_path)


def test_a_person_without_pictures_is_named(tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=1, shots=1)
    (tmp_path / "nobody").mkdir()
    with pytest.raises(DatasetInvalid, match="nobody has no pictures"):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Anna", "anna"), (unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë"))],
)
def test_two_folders_of_one_name_are_refused(tmp_path: Path, one: str, other: str) -> None:
    for name in (one, other):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encoded(1, 1))
    with pytest.raises(DatasetInvalid, match="two folders of one name"):
        scan(tmp_path)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("I am no picture")
    with pytest.raises(DatasetInvalid, match=r"text\.jpg: .* no JPEG"):
        read(text)
    with pytest.raises(DatasetInvalid, match=r"gone\.jpg"):
        read(tmp_path / "gone.jpg")
    with pytest.raises(DatasetInvalid, match=str(tmp_path)):
        read(tmp_path)


class TestDigest:
    PEOPLE, PICTURES = (0, 0, 1), (b"a", b"bc", b"d")

    def test_it_is_of_the_pictures_and_of_whose_they_are(self) -> None:
        digests = {
            digest(self.PEOPLE, self.PICTURES),
            digest((0, 1, 1), self.PICTURES),
            digest(self.PEOPLE, (b"ab", b"c", b"d")),
            digest(self.PEOPLE, (b"bc", b"a", b"d")),
            digest(self.PEOPLE[:2], self.PICTURES[:2]),
        }
        assert len(digests) == 5
        assert digest(list(self.PEOPLE), iter(self.PICTURES)) in digests

    def test_it_is_as_it_always_was(self) -> None:
        plain = b"".join(
            number.to_bytes(8, "little") + hashlib.sha256(content).digest()
            for number, content in zip(self.PEOPLE, self.PICTURES, strict=True)
        )
        assert digest(self.PEOPLE, self.PICTURES) == hashlib.sha256(plain).hexdigest()

    def test_a_picture_without_a_person_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="argument 2 is longer"):
            digest((0,), (b"a", b"b"))
