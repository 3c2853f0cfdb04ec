"""Accuracy on the pairs of a pair file, by the protocol of Labeled Faces in the Wild.

View 2: ten folds, the threshold of each chosen on the nine others. View 1 has no folds, so that its
threshold comes from the bundle's calibration, of other people, and never from these pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.evaluation.compared import ListedPairs
from mien.evaluation.contract import Lfw, ends
from mien.evaluation.deployment import least_error_threshold
from mien.matching.calibration import Calibration
from mien.matching.folds import cross_validate, decided
from mien.matching.intervals import accuracy_interval


@dataclass(frozen=True)
class Decided:
    """The section of the report, and which of the pairs were decided correctly, bool [P].

    `correct` is None where there is no threshold.
    """

    section: Lfw
    correct: npt.NDArray[np.bool_] | None


def decide_pairs(
    compared: ListedPairs, folds: int | None, calibration: Calibration | None, seed: int
) -> Decided:
    """View 2 with folds, View 1 without. Raises DatasetInvalid if fewer than two folds are left."""
    return _view2(compared, seed) if folds else _view1(compared, calibration, seed)


def _view1(compared: ListedPairs, calibration: Calibration | None, seed: int) -> Decided:
    threshold = least_error_threshold(calibration)
    similarities, same = compared.similarities, compared.pairs.same
    accuracy = interval = correct = None
    if threshold is not None:
        correct = decided(similarities, same, threshold)
        accuracy = float(correct.mean())
        interval = ends(accuracy_interval(correct, compared.pairs, seed))
    section = Lfw(
        view=1,
        pairs=len(same),
        folds=None,
        thresholds=[] if threshold is None else [threshold],
        accuracy=accuracy,
        accuracy_interval95=interval,
        standard_error=None,
        fold_accuracies=[],
    )
    return Decided(section, correct)


def _view2(compared: ListedPairs, seed: int) -> Decided:
    found = cross_validate(compared.similarities, compared.pairs.same, compared.trials.folds)
    section = Lfw(
        view=2,
        pairs=len(compared.similarities),
        folds=len(found.accuracies),
        thresholds=found.thresholds,
        accuracy=found.accuracy,
        accuracy_interval95=ends(accuracy_interval(found.correct, compared.pairs, seed)),
        standard_error=found.standard_error,
        fold_accuracies=found.accuracies,
    )
    return Decided(section, found.correct)
