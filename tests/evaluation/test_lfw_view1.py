"""Labeled Faces in the Wild, View 1: the command against an independent computation.

Nothing of mien measures here: pictures are decoded by Pillow, scaled by OpenCV, embedded by
onnxruntime one at a time, compared by numpy, judged by scikit-learn. The development data is never
part of the repository.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve

from mien.model.bundle import Bundle
from tests.evaluation import made
from tests.faces import SIDE

VIEW1 = Path(__file__).parents[3] / "shared" / "data" / "lfw_view1"

pytestmark = pytest.mark.skipif(
    not VIEW1.is_dir(), reason=f"the development data is not at {VIEW1}; it cannot be distributed"
)


@pytest.fixture(scope="module")
def judged(bundle: Bundle) -> tuple[np.ndarray, np.ndarray, int]:
    """Similarities of the pairs of the file in its order, whether of one person; pictures."""
    session = onnxruntime.InferenceSession(str(bundle.folder / "model.onnx"))
    vectors: dict[tuple[str, str], np.ndarray] = {}

    def vector(name: str, number: str) -> np.ndarray:
        if (name, number) not in vectors:
            path = VIEW1 / "images" / name / f"{name}_{int(number):04}.jpg"
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            crop = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            vectors[name, number] = session.run(None, {"crops": crop[None]})[0][0]
        return vectors[name, number]

    scores, labels = [], []
    for line in (VIEW1 / "pairsDevTest.txt").read_text().splitlines()[1:]:
        match line.split("\t"):
            case [name, i, j]:
                scores.append(float(vector(name, i) @ vector(name, j)))
                labels.append(True)
            case [name, i, other, j]:
                scores.append(float(vector(name, i) @ vector(other, j)))
                labels.append(False)
    return np.array(scores), np.array(labels), len(vectors)


def test_the_numbers_equal_an_independent_computation(
    bundle: Bundle, judged: tuple[np.ndarray, np.ndarray, int]
) -> None:
    scores, labels, pictures = judged
    curve = json.loads((bundle.folder / "calibration.json").read_text())["curves"][0]["points"]
    threshold = min(curve, key=lambda point: point["fmr"] + point["fnmr"])["threshold"]

    report = made.evaluated(bundle.folder, VIEW1 / "images", "--pairs", VIEW1 / "pairsDevTest.txt")
    found = report["verification"]
    assert (found["genuine_comparisons"], found["impostor_comparisons"]) == (500, 500)
    assert report["data"]["pictures"] == pictures
    assert report["acquisition"]["failures_to_acquire"] == 0
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-5)
    fmr, tmr, _ = roc_curve(labels, scores, drop_intermediate=False)
    nearest = np.argmin(np.abs(fmr - (1 - tmr)))
    assert found["eer"] == pytest.approx((fmr[nearest] + 1 - tmr[nearest]) / 2, abs=0.002)
    for point in found["operating_points"]:
        if point["supported"]:
            best = max(tmr[fmr <= point["target_fmr"] + 1e-9])
            assert point["fnmr"] == pytest.approx(1 - best, abs=1e-9)
    accuracy = accuracy_score(labels, scores >= threshold)
    assert report["lfw"]["accuracy"] == pytest.approx(accuracy, abs=1e-9)
    assert report["lfw"]["standard_error"] is None


def test_in_ten_folds_accuracy_and_its_error_equal_an_independent_computation(
    bundle: Bundle, judged: tuple[np.ndarray, np.ndarray, int], tmp_path: Path
) -> None:
    """The same pairs as a View 2 file: each threshold is in the middle of the widest interval that
    decides most of the other nine folds correctly, found by trying all."""
    scores, labels, _ = judged
    lines = (VIEW1 / "pairsDevTest.txt").read_text().splitlines()[1:]
    order = np.arange(1000).reshape(2, 10, 50).swapaxes(0, 1).ravel()
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("10\t50\n" + "\n".join(lines[row] for row in order))
    scores, labels, folds = scores[order], labels[order], np.repeat(np.arange(10), 100)
    accuracies = []
    for fold in range(10):
        known = folds != fold
        edges = np.r_[-1, np.unique(scores[known]), 1]
        middles, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        correct = [((scores[known] >= m) == labels[known]).sum() for m in middles]
        threshold = middles[np.argmax(np.where(correct == np.max(correct), widths, 0))]
        accuracies.append(accuracy_score(labels[~known], scores[~known] >= threshold))

    found = made.evaluated(bundle.folder, VIEW1 / "images", "--pairs", pairs)["lfw"]
    assert (found["view"], found["folds"], found["pairs"]) == (2, 10, 1000)
    assert found["fold_accuracies"] == pytest.approx(accuracies, abs=1e-9)
    assert found["accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-9)
    assert found["standard_error"] == pytest.approx(np.std(accuracies, ddof=1) / 10**0.5, abs=1e-9)
