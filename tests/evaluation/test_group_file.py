from pathlib import Path

import pytest

from mien.errors import DatasetInvalid
from mien.evaluation import group_file


def written(folder: Path, text: str) -> Path:
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_person_has_a_group(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeffperson,group\nAnna,north\n"Ben, Jr.",south\n\n')
    assert group_file.read(path) == {"Anna": "north", "Ben, Jr.": "south"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 'person,group'"),
        ("group,person\nnorth,Anna\n", "first line is 'group,person'"),
        ("person,group\nAnna\n", "line 2 is 'Anna'"),
        ("person,group\nAnna,\n", "line 2 is 'Anna,'"),
        ("person,group\nAnna,north,x\n", "line 2"),
        ("person,group\nAnna,north\nAnna,south\n", "line 3: 'Anna' stands there twice"),
        ('person,group\n"Anna,north\n', "cannot be read as CSV"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetInvalid, match=message):
        group_file.read(written(tmp_path, text))


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"gone\.csv does not exist$"):
        group_file.read(tmp_path / "gone.csv")


def test_people_without_a_group_and_unknown_people_are_listed() -> None:
    groups = {"Anna": "north", "Ben": "south"}
    group_file.check(Path("g.csv"), groups, ["Anna", "Ben"])
    with pytest.raises(DatasetInvalid, match="1 people without a group: Carla"):
        group_file.check(Path("g.csv"), groups, ["Anna", "Ben", "Carla"])
    with pytest.raises(DatasetInvalid, match="1 people whom the evaluation does not know: Ben"):
        group_file.check(Path("g.csv"), groups, ["Anna"])
    with pytest.raises(DatasetInvalid, match=r"Carla; 1 people whom .*: Ben$"):
        group_file.check(Path("g.csv"), groups, ["Anna", "Carla"])
    with pytest.raises(DatasetInvalid, match="names nobody of the 2 people"):
        group_file.check(Path("g.csv"), groups, ["Carla", "Dmitri"])
