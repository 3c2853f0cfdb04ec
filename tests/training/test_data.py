"""What becomes of a folder of people, and every folder that is refused."""

from pathlib import Path

import numpy as np
import pytest

from mien.errors import DatasetInvalid
from mien_training.batches import Batches
from mien_training.config.recipe import Crop
from mien_training.data import Crops, load, split
from mien_training.loading import load_recipe
from mien_training.process_group import ALONE
from tests.faces import encoded, folder_of_people
from tests.training.recipes import small

SIZE = Crop(height=20, width=16)


def test_a_folder_becomes_crops_and_labels_in_order_of_name(tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=2, shots=3)
    folder_of_people(tmp_path, people=1, shots=2, first=2)
    crops = load(tmp_path, SIZE).crops
    assert crops.people == ("person-0", "person-1", "person-2")
    assert crops.images.shape == (8, 20, 16, 3)
    assert crops.images.dtype == np.uint8
    assert crops.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_some_people_are_labelled_anew_without_a_gap(tmp_path: Path) -> None:
    crops = load(folder_of_people(tmp_path, people=4, shots=2), SIZE).crops
    some = crops.of({"person-3", "person-1"})
    assert some.people == ("person-1", "person-3")
    assert some.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(some.images, crops.images[[2, 3, 6, 7]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 0, 2, 2], "label 1 has no picture"), ([0, 1, 2, 3], "label 3 is nobody")],
)
def test_a_label_gap_is_refused(labels: list[int], message: str, tmp_path: Path) -> None:
    numbers = np.asarray(labels, dtype=np.int64)
    crops = Crops(("ann", "bob", "eve"), np.zeros((4, 16, 16, 3), np.uint8), numbers)
    with pytest.raises(DatasetInvalid, match=f"labels 0 to 2 without a gap, but {message}"):
        Batches(crops, small(tmp_path), ALONE)


def test_nobody_is_no_crops(tmp_path: Path) -> None:
    crops = load(folder_of_people(tmp_path, people=2, shots=2), SIZE).crops
    assert crops.of(()).images.shape == (0, 20, 16, 3)


def test_the_digest_follows_names_and_contents(tmp_path: Path) -> None:
    first = load(folder_of_people(tmp_path / "a", people=2, shots=2), SIZE).digest
    again = folder_of_people(tmp_path / "b", people=2, shots=2)
    assert load(again, SIZE).digest == first
    (again / "person-1" / "1.png").write_bytes(encoded(1, shot=9))
    changed = load(again, SIZE).digest
    (again / "person-1").rename(again / "person-9")
    assert len({first, changed, load(again, SIZE).digest}) == 3


def test_one_person_only_is_refused(tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=1, shots=3)
    with pytest.raises(DatasetInvalid, match="one person only, 'person-0'"):
        load(tmp_path, SIZE)


def test_people_with_a_single_picture_are_named(tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=2, shots=2)
    folder_of_people(tmp_path, people=7, shots=1, first=2)
    with pytest.raises(DatasetInvalid, match=r"a single picture of 'person-2', .* and 2 more; add"):
        load(tmp_path, SIZE)


def test_a_folder_without_people_or_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="no people in it"):
        load(tmp_path, SIZE)
    (tmp_path / "ann").mkdir()
    with pytest.raises(DatasetInvalid, match="ann has no pictures"):
        load(tmp_path, SIZE)


PICTURE = encoded(0, shot=0)
BROKEN = {
    "empty": (b"", "is empty"),
    "truncated": (PICTURE[: len(PICTURE) // 2], "damaged"),
    "0×0": (b"P5 0 0 255 ", "no JPEG|0×0|damaged"),
    "text": (b"not a picture", "no JPEG, PNG"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    folder_of_people(tmp_path, people=2, shots=2)
    (tmp_path / "person-1" / "2.jpg").write_bytes(content)
    with pytest.raises(DatasetInvalid, match=rf"person-1/2\.jpg: .*({message})"):
        load(tmp_path, SIZE)


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=2, shots=2)
    (tmp_path / "person-0").rename(tmp_path / "Ann")
    (tmp_path / "person-1").rename(tmp_path / "ann")
    with pytest.raises(DatasetInvalid, match="two folders of one name"):
        load(tmp_path, SIZE)


PEOPLE = [f"p{number:02}" for number in range(30)]


def test_the_split_is_disjoint_complete_and_by_the_seed() -> None:
    train, validation = split(PEOPLE, 0.2, seed=3)
    assert len(validation) == 6
    assert sorted(train + validation) == PEOPLE
    assert split(PEOPLE, 0.2, seed=3) == (train, validation)
    assert split(PEOPLE, 0.2, seed=4) != (train, validation)


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.01, 2), (0.5, 15)])
def test_the_share_takes_nobody_or_at_least_two(share: float, count: int) -> None:
    assert len(split(PEOPLE, share, seed=1)[1]) == count


def test_a_split_that_leaves_fewer_than_two_for_training_is_refused() -> None:
    with pytest.raises(DatasetInvalid, match=r"of 3 people, validation_people=0.2 takes 2 and le"):
        split(PEOPLE[:3], 0.2, seed=1)


@pytest.mark.parametrize("name", ["orl-center", "orl-triplet"])
def test_the_demo_holds_ten_of_its_thirty_people_out(name: str) -> None:
    """An FMR of a tenth needs nine people (`mien.matching.support`)."""
    share = load_recipe(name).validation_people
    assert [len(people) for people in split(PEOPLE, share, seed=0)] == [20, 10]
