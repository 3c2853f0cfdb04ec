"""Accuracy over pairs in folds, as Labeled Faces in the Wild defines it.

Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the Wild" (UMass Amherst, TR 07-49, 2007).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.metrics import Similarities, refuse_nan


@dataclass(frozen=True)
class Folded:
    """Accuracy of each fold at the threshold that the other folds chose, in order of fold."""

    thresholds: list[float]
    accuracies: list[float]
    correct: npt.NDArray[np.bool_]
    """bool [pairs]: decided correctly at the threshold of its fold."""

    @property
    def accuracy(self) -> float:
        """Mean over folds."""
        return float(np.mean(self.accuracies))

    @property
    def standard_error(self) -> float:
        """Of the mean: the folds' standard deviation (over n-1) by the root of their number."""
        return float(np.std(self.accuracies, ddof=1) / np.sqrt(len(self.accuracies)))


def cross_validate(
    similarities: Similarities, same: npt.NDArray[np.bool_], folds: npt.NDArray[np.int64]
) -> Folded:
    """Of M pairs: their similarities, whether both are one person, and the fold of each.

    Raises DatasetInvalid with fewer than two folds.
    """
    names = np.unique(folds)
    if len(names) < 2:
        raise DatasetInvalid(
            f"the pairs are in {len(names)} fold; a threshold is chosen on the others, so that two "
            "are needed at least"
        )
    thresholds = [best_threshold(similarities[folds != f], same[folds != f]) for f in names]
    of_pair = np.array(thresholds, np.float32)[np.searchsorted(names, folds)]
    correct = (similarities >= of_pair) == same
    return Folded(thresholds, [float(correct[folds == f].mean()) for f in names], correct)


def decided(
    similarities: Similarities, same: npt.NDArray[np.bool_], threshold: float
) -> npt.NDArray[np.bool_]:
    """Which pairs [P] are decided correctly: at or above the threshold is one person."""
    _refuse_unusable(similarities)
    return np.asarray((similarities >= np.float32(threshold)) == same)


def best_threshold(similarities: Similarities, same: npt.NDArray[np.bool_]) -> float:
    """The threshold of the best accuracy on these pairs.

    Every threshold between two neighbouring similarities decides alike, so that the best ones are
    intervals. The midpoint of the widest is taken: the farthest from any pair; of equally wide
    ones the lowest. Similarities are taken to lie in [-1, 1].
    """
    _refuse_unusable(similarities)
    order = np.argsort(similarities, kind="stable")
    values, genuine = similarities[order], same[order]
    correct = np.r_[0, np.cumsum(~genuine) - np.cumsum(genuine)]
    below, above = np.nextafter(values[[0, -1]], np.array([-np.inf, np.inf], np.float32))
    bounds = np.r_[min(-1, below), values, max(1, above)].astype(float)
    lows, widths = bounds[:-1], np.diff(bounds)
    best = correct == correct[widths > 0].max()
    widest = np.argmax(np.where(best, widths, 0))
    middle = np.float32(lows[widest] + widths[widest] / 2)
    return float(middle if middle > lows[widest] else bounds[widest + 1])


def _refuse_unusable(similarities: Similarities) -> None:
    refuse_nan(similarities)
    if not len(similarities):
        raise DatasetInvalid(
            "there are no pairs to decide; give some of one person and some of two"
        )
