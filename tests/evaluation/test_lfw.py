"""Pair files by the real command, against loops written here."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DatasetInvalid
from mien.evaluation import pair_file
from mien.evaluation.trials import Trials
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from tests.bundles import uncalibrated
from tests.evaluation import made
from tests.faces import encoded

PEOPLE, SHOTS, EACH, FOLDS = 30, 4, 12, 10


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.lfw_folder(tmp_path_factory.mktemp("lfw") / "images", PEOPLE, SHOTS)


@pytest.fixture(scope="module")
def view2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    lines = [line for _ in range(FOLDS) for line in made.pair_lines(PEOPLE, SHOTS, EACH, random)]
    path = tmp_path_factory.mktemp("view2") / "pairs.txt"
    path.write_text(f"{FOLDS}\t{EACH}\n" + "\n".join(lines) + "\n")
    return path


def similarities(bundle: Bundle, lines: list[str]) -> tuple[list[float], list[bool]]:
    """One pair at a time; a line of three fields is a matched one."""
    pipeline = Pipeline(bundle, threads=1)
    values, same = [], []
    for line in lines:
        fields = line.split("\t")
        person, i, other, j = fields if len(fields) == 4 else (*fields[:2], fields[0], fields[2])
        one = pipeline.embed(encoded(int(person[2:]), int(i)))
        another = pipeline.embed(encoded(int(other[2:]), int(j)))
        values.append(float(one @ another))
        same.append(person == other)
    return values, same


def slow_threshold(values: list[float], same: list[bool]) -> float:
    """The middle of the widest gap between similarities in which the accuracy is best."""
    bounds = [-1.0, *sorted(set(values)), 1.0]
    best, found = (-1, 0.0), 0.0
    for low, high in pairwise(bounds):
        middle = (low + high) / 2
        right = sum((v >= middle) == s for v, s in zip(values, same, strict=True))
        if (right, high - low) > best:
            best, found = (right, high - low), middle
    return found


def test_view_2_equals_a_slow_loop_over_its_folds(
    bundle: Bundle, images: Path, view2: Path
) -> None:
    values, same = similarities(bundle, view2.read_text().splitlines()[1:])
    fold_of = [row // (2 * EACH) for row in range(len(values))]
    accuracies = []
    for fold in range(FOLDS):
        others = [row for row, f in enumerate(fold_of) if f != fold]
        threshold = slow_threshold([values[r] for r in others], [same[r] for r in others])
        own = [row for row, f in enumerate(fold_of) if f == fold]
        accuracies.append(sum((values[r] >= threshold) == same[r] for r in own) / len(own))
    mean = sum(accuracies) / FOLDS
    deviation = (sum((a - mean) ** 2 for a in accuracies) / (FOLDS - 1)) ** 0.5

    report = made.evaluated(bundle.folder, images, "--pairs", view2)
    found = report["lfw"]
    assert report["data"]["comparisons"] == "view2"
    assert (found["view"], found["folds"], found["pairs"]) == (2, FOLDS, 2 * EACH * FOLDS)
    assert found["fold_accuracies"] == pytest.approx(accuracies)
    assert found["accuracy"] == pytest.approx(mean)
    assert found["standard_error"] == pytest.approx(deviation / FOLDS**0.5)
    assert found["accuracy_interval95"][0] <= mean <= found["accuracy_interval95"][1]
    assert report["verification"]["genuine_comparisons"] == EACH * FOLDS
    assert report["identification"] is None


@pytest.fixture
def view1(tmp_path: Path) -> Path:
    lines = made.pair_lines(PEOPLE, SHOTS, 60, np.random.default_rng(1))
    path = tmp_path / "pairs.txt"
    path.write_text("60\n" + "\n".join(lines) + "\n")
    return path


def test_view_1_is_decided_where_the_calibration_errs_least(
    bundle: Bundle, images: Path, view1: Path
) -> None:
    values, same = similarities(bundle, view1.read_text().splitlines()[1:])
    assert bundle.calibration is not None
    errors = {
        point.fmr + point.fnmr: point.threshold for point in bundle.calibration.pictures.points
    }
    threshold = errors[min(errors)]
    found = made.evaluated(bundle.folder, images, "--pairs", view1)["lfw"]
    assert found["thresholds"] == [threshold]
    right = [(v >= threshold) == s for v, s in zip(values, same, strict=True)]
    assert found["accuracy"] == pytest.approx(np.mean(right))
    assert (found["view"], found["folds"], found["standard_error"]) == (1, None, None)


def test_view_1_of_a_bundle_without_calibration_has_no_accuracy(
    images: Path, view1: Path, tmp_path: Path
) -> None:
    plain = uncalibrated(tmp_path / "plain")
    report = made.evaluated(plain.folder, images, "--pairs", view1)
    assert report["lfw"]["accuracy"] is None
    assert report["lfw"]["thresholds"] == []
    assert report["deployed"] is None
    assert report["verification"]["eer"] is not None


def test_a_pair_with_a_failed_picture_is_left_out_and_counted(
    bundle: Bundle, tmp_path: Path
) -> None:
    images = made.lfw_folder(tmp_path / "images", people=4, shots=2)
    (images / "P-1" / "P-1_0002.png").write_bytes(b"rubbish")
    pairs = tmp_path / "pairs.txt"
    lines = ["P-0\t1\t2", "P-1\t1\t2", "P-2\t1\t2"]
    lines += ["P-0\t1\tP-1\t1", "P-0\t1\tP-1\t2", "P-2\t1\tP-3\t2"]
    pairs.write_text("3\n" + "\n".join(lines))
    report = made.evaluated(bundle.folder, images, "--pairs", pairs)
    assert report["data"]["left_out_pairs"] == 2
    assert report["lfw"]["pairs"] == 4
    assert report["acquisition"]["failures_to_acquire"] == 1
    assert report["acquisition"]["pictures_failed"] == ["P-1/P-1_0002.png"]


def test_pairs_are_found_among_saved_vectors_by_name(
    bundle: Bundle, images: Path, view1: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "v.npz"
    first = made.evaluated(bundle.folder, images, "--pairs", view1, "--save-vectors", saved)
    again = made.evaluated(bundle.folder, saved, "--pairs", view1)
    assert first["data"].pop("source") == "folder"
    assert again["data"].pop("source") == "vectors"
    assert first["data"].pop("name") != again["data"].pop("name")
    assert first == again


def test_trials_name_what_is_unknown_and_refuse_to_be_of_one_kind(tmp_path: Path) -> None:
    samples = made.samples(people=2, shots=2)
    names = np.array(["A/A_0001.jpg", "A/A_0002.jpg", "B/B_0001.png", "B/B_0002"])
    people = np.array(["A", "A", "B", "B"])
    known = type(samples)(samples.vectors, people, names, ())
    path = tmp_path / "pairs.txt"
    path.write_text("1\nB\t2\t1\nA\t2\tB\t1\n")
    found = Trials.of(pair_file.read(path), known)
    assert (found.first.tolist(), found.second.tolist()) == ([3, 1], [2, 2])
    with pytest.raises(DatasetInvalid, match=r"3 images .*A_0002, B/B_0001, B/B_0002"):
        Trials.of(pair_file.read(path), samples)
