"""What is found in a folder of people before anything is learned from it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import DatasetInvalid
from mien_training.audit import Audit, audit
from mien_training.config.recipe import Crop, Recipe
from mien_training.data import gather
from mien_training.difference_hash import NEAR, Hashes, difference_hash, near
from mien_training.fit import fit
from tests.faces import folder_of_people, picture
from tests.training.recipes import small

SIZE = Crop(height=48, width=48)
VALIDATION = {"person-3", "person-4"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of_people(tmp_path / "people", people=5, shots=3)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Which validates by person-0 and person-3."""
    return small(tmp_path)


def audited(folder: Path) -> Audit:
    return audit(folder, gather(folder, SIZE), VALIDATION)


def found(audited: Audit) -> dict[str, tuple[str, ...]]:
    """What was found at all."""
    findings = (*audited.others, audited.leaked)
    return {finding.what: finding.examples for finding in findings if finding.examples}


def copy(folder: Path, source: str, target: str) -> None:
    (folder / target).write_bytes((folder / source).read_bytes())


def copy_as_jpeg(folder: Path, source: str, target: str) -> None:
    """Both are smoothed first: JPEG does not keep noise like that of pictures made by code."""
    image = cv2.GaussianBlur(np.asarray(cv2.imread(str(folder / source))), (5, 5), 0)
    assert cv2.imwrite(str(folder / target), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert cv2.imwrite(str(folder / source), image)


def test_nothing_is_found_in_a_clean_folder(folder: Path) -> None:
    clean = audited(folder)
    assert found(clean) == {}
    assert (clean.pictures, clean.people) == (15, 5)
    clean.refuse(strict=True)


def test_pictures_that_cannot_be_read_are_all_found(folder: Path) -> None:
    (folder / "person-1" / "x.jpg").write_bytes(b"")
    (folder / "person-2" / "y.jpg").write_bytes(b"text")
    examples = found(audited(folder))["unreadable pictures"]
    assert len(examples) == 2
    assert "person-1/x.jpg: the picture is empty" in examples[0]
    with pytest.raises(DatasetInvalid, match=r"x\.jpg: .* \(and 1 more cannot be read\)"):
        gather(folder, SIZE).refuse_unusable(folder)


def test_a_folder_of_which_nothing_can_be_read_names_the_first(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"")
    with pytest.raises(DatasetInvalid, match=r"a/1\.jpg"):
        gather(tmp_path, SIZE)


def test_people_with_one_picture_are_found(folder: Path) -> None:
    folder_of_people(folder, people=1, shots=1, first=7)
    assert found(audited(folder)) == {"people with a single picture": ("person-7",)}


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("person-0/9.png", "exact duplicates of one person"),
        ("person-1/9.png", "exact duplicates of two people"),
        ("person-3/9.png", "exact duplicates across the split"),
    ],
)
def test_the_same_file_is_found_wherever_it_is(folder: Path, target: str, what: str) -> None:
    copy(folder, "person-0/1.png", target)
    assert found(audited(folder)) == {what: (f"person-0/1.png = {target}",)}


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("person-1/9.jpg", "near duplicates of two people"),
        ("person-3/9.jpg", "near duplicates across the split"),
    ],
)
def test_the_same_picture_in_another_file_is_found(folder: Path, target: str, what: str) -> None:
    copy_as_jpeg(folder, "person-0/1.png", target)
    assert found(audited(folder)) == {what: (f"person-0/1.png = {target}",)}


def test_near_duplicates_of_one_person_are_to_be_expected(folder: Path) -> None:
    copy_as_jpeg(folder, "person-0/1.png", "person-0/9.jpg")
    assert found(audited(folder)) == {}


def test_the_table_names_a_few_and_counts_all(folder: Path) -> None:
    for number in range(5):
        copy(folder, f"person-{number}/0.png", f"person-{number}/9.png")
    title, *rows = [line.strip() for line in audited(folder).table().splitlines()]
    assert title == f"audit of {folder}: 20 pictures of 5 people"
    assert rows[0] == "0 unreadable pictures"
    assert rows[2] == (
        "5 exact duplicates of one person: person-0/0.png = person-0/9.png, "
        "person-1/0.png = person-1/9.png, person-2/0.png = person-2/9.png and 2 more"
    )


def test_strict_refuses_what_is_otherwise_told(
    folder: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy(folder, "person-0/1.png", "person-0/9.png")
    with pytest.raises(
        DatasetInvalid, match="--strict refuses exact duplicates of one person, suc"
    ):
        fit(folder, recipe, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()
    assert "1 exact duplicates of one person" in capsys.readouterr().err
    fit(folder, recipe, tmp_path / "run")


def test_validation_people_in_training_stop_the_run_before_it_begins(
    folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    copy(folder, "person-0/1.png", "person-1/9.png")
    with pytest.raises(
        DatasetInvalid,
        match=r"leaks into training, 1 pictures are in both, such as person-0/1\.png = person-1/9",
    ):
        fit(folder, recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def slow_near(hashes: Hashes) -> list[list[int]]:
    """Every two compared, bit by bit."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    return [
        [first, second]
        for first in range(len(bits))
        for second in range(first + 1, len(bits))
        if (bits[first] != bits[second]).sum() <= NEAR
    ]


def test_near_hashes_are_those_that_comparing_every_two_finds() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(2**16, size=(60, 16)).astype(np.uint16)
    hashes = np.concatenate([hashes, hashes[:40], np.zeros((5, 16), np.uint16)])
    for row in range(60, 100):
        flipped = rng.choice(256, size=row - 80 + 22, replace=False)
        for bit in flipped:
            hashes[row, bit // 16] ^= np.uint16(1 << (bit % 16))
    expected = slow_near(hashes)
    assert len(expected) > 20
    assert near(hashes).tolist() == expected


def test_nothing_is_near_among_no_pictures() -> None:
    assert near(np.empty((0, 16), np.uint16)).shape == (0, 2)


def test_a_hash_outlives_size_brightness_and_grey_but_not_another_person() -> None:
    smooth = cv2.GaussianBlur(picture(0, 0), (5, 5), 0)
    changed = {
        "larger": cv2.resize(smooth, (90, 90), interpolation=cv2.INTER_LINEAR),
        "brighter": cv2.convertScaleAbs(smooth, alpha=0.9, beta=10),
        "grey": cv2.cvtColor(cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    }

    def apart(other: NDArray[Any]) -> int:
        differing = difference_hash(smooth.astype(np.uint8)) ^ difference_hash(other)
        return int(np.bitwise_count(differing).sum())

    assert {name: apart(image) <= NEAR for name, image in changed.items()} == dict.fromkeys(
        changed, True
    )
    assert apart(picture(1, 0)) > 4 * NEAR
