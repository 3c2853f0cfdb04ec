from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import DatasetInvalid
from mien.evaluation import pair_file

VIEW1 = "2\nAnna\t1\t2\nBen\t3\t1\nAnna\t1\tBen\t2\nBen\t1\tAnna\t4\n"
VIEW2 = "2\t1\nAnna\t1\t2\nAnna\t1\tBen\t1\nBen\t1\t2\nBen\t2\tAnna\t2\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "pairs.txt"
        path.write_text(text)
        return path

    return write


def test_view_1_is_matched_then_mismatched(write: Callable[[str], Path]) -> None:
    file = pair_file.read(write(VIEW1))
    assert file.folds is None
    assert [(p.first.stem, p.second.stem, p.genuine, p.fold) for p in file.pairs] == [
        ("Anna/Anna_0001", "Anna/Anna_0002", True, 0),
        ("Ben/Ben_0003", "Ben/Ben_0001", True, 0),
        ("Anna/Anna_0001", "Ben/Ben_0002", False, 0),
        ("Ben/Ben_0001", "Anna/Anna_0004", False, 0),
    ]
    assert [shot.stem for shot in file.shots][:3] == [
        "Anna/Anna_0001", "Anna/Anna_0002", "Anna/Anna_0004",
    ]  # fmt: skip


def test_view_2_is_matched_then_mismatched_in_each_fold(write: Callable[[str], Path]) -> None:
    file = pair_file.read(write(VIEW2))
    assert file.folds == 2
    assert [(p.genuine, p.fold) for p in file.pairs] == [
        (True, 0), (False, 0), (True, 1), (False, 1),
    ]  # fmt: skip


def test_names_with_spaces_are_kept_between_tabs_and_empty_lines_at_the_end_are_none(
    write: Callable[[str], Path],
) -> None:
    file = pair_file.read(write("1\nAnna Bo\t1\t2\nAnna Bo\t1\tBen\t12345\n\n \n"))
    assert file.pairs[1].first.stem == "Anna Bo/Anna Bo_0001"
    assert file.pairs[1].second.stem == "Ben/Ben_12345"
    assert pair_file.read(write("1\nAnna 1 2\nAnna 1 Ben 2\n")).pairs[1].second.person == "Ben"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is ''"),
        ("ten\n", "line 1 is 'ten'"),
        ("0\n", "line 1 is '0'"),
        ("1\t300\n", "at least 2"),
        ("-2\n", "line 1 is '-2'"),
        ("1" * 5000 + "\n", f"line 1 is '{'1' * 80}'; expected a count"),
        ("3\t" + "1" * 5000 + "\n", "line 1 is .*; expected a count"),
        (VIEW1.replace("Ben\t3\t1", "Ben\t3\t" + "1" * 5000), "line 3 .* is no number"),
        ("2\nAnna\t1\t2\n", "announces 4 pairs, 1 lines follow"),
        (VIEW1 + "Ben\t1\tAnna\t4\n", "announces 4 pairs, 5 lines follow"),
        (VIEW1.replace("Ben\t3\t1", "Ben\t3"), r"line 3 is 'Ben\\t3': it has 2 fields.*name, i, j"),
        (VIEW1.replace("Ben\t3\t1", "Ben\t3\tx"), "line 3 .* 'x' is no number"),
        (VIEW1.replace("Ben\t3\t1", "Ben\t3\t0"), "line 3 .* '0' is no number"),
        (VIEW1.replace("Ben\t3\t1", "Ben\t3\t3"), "line 3 .* paired with itself"),
        (VIEW1.replace("Ben\t3\t1", "..\t3\t1"), "line 3 .* no name of a person"),
        (VIEW1.replace("Ben\t3\t1", "a/b\t3\t1"), "line 3 .* no name of a person"),
        (VIEW1.replace("Anna\t1\tBen\t2", "Anna\t1\tAnna\t2"), "line 4 .* of one person"),
        (VIEW1.replace("Anna\t1\tBen\t2", "Anna\t1\t2"), "line 4 .*expected a mismatched pair"),
    ],
)
def test_a_malformed_line_is_named(write: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(DatasetInvalid, match=message):
        pair_file.read(write(text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"gone\.txt does not exist$"):
        pair_file.read(tmp_path / "gone.txt")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(DatasetInvalid, match="no pair file"):
        pair_file.read(tmp_path / "picture.png")


def test_pictures_are_found_and_all_that_are_missing_are_listed(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    file = pair_file.read(write(VIEW1))
    for name in ("Anna_0001.jpg", "Anna_0002.png", "Anna_0004.jpg"):
        (tmp_path / "Anna").mkdir(exist_ok=True)
        (tmp_path / "Anna" / name).touch()
    with pytest.raises(DatasetInvalid, match=r"3 images .*Ben_0001, Ben/Ben_0002, Ben/Ben_0003$"):
        pair_file.locate(file, tmp_path)
    (tmp_path / "Ben").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "Ben" / f"Ben_000{number}.jpg").touch()
    located = pair_file.locate(file, tmp_path)
    assert [picture.name for picture in located][:2] == ["Anna/Anna_0001.jpg", "Anna/Anna_0002.png"]
    with pytest.raises(DatasetInvalid, match="is no folder"):
        pair_file.locate(file, tmp_path / "nowhere")


def test_a_long_list_of_missing_pictures_is_cut(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    lines = [f"P{n:02}\t1\t2" for n in range(15)] + [f"P{n:02}\t1\tQ\t1" for n in range(15)]
    with pytest.raises(DatasetInvalid, match=r"31 images .*P09/P09_0002 and 11 more"):
        pair_file.locate(pair_file.read(write("15\n" + "\n".join(lines))), tmp_path)


def test_shots_that_saved_vectors_lack_are_listed(write: Callable[[str], Path]) -> None:
    file = pair_file.read(write(VIEW1))
    known = dict.fromkeys((shot.stem for shot in file.shots), 0)
    pair_file.check_known(file, known, "saved.npz")
    del known["Ben/Ben_0002"]
    with pytest.raises(DatasetInvalid, match=r"1 images .*saved\.npz: Ben/Ben_0002$"):
        pair_file.check_known(file, known, "saved.npz")


def test_a_byte_order_mark_is_no_part_of_the_count(write: Callable[[str], Path]) -> None:
    assert pair_file.read(write("\ufeff" + VIEW1)).pairs == pair_file.read(write(VIEW1)).pairs
