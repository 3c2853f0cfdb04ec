"""What a similarity is worth, by the calibration and here."""

import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from mien.evaluation.compared import AllPairs, ListedPairs
from mien.evaluation.likelihood import likelihood
from mien.evaluation.trials import Trials
from mien.matching.calibration import calibrate
from tests.evaluation import made


def test_on_the_people_of_the_calibration_both_curves_are_one() -> None:
    samples = made.samples(people=12, shots=4)
    calibration = calibrate(samples.vectors, samples.person_numbers, "f")
    found = likelihood(AllPairs(samples, seed=0), calibration)
    assert found is not None
    assert found.thresholds == [point.threshold for point in calibration.pictures.points]
    assert found.by_calibration == [point.log10_lr for point in calibration.pictures.points]
    assert found.here == pytest.approx(found.by_calibration)


def test_here_it_is_the_isotonic_regression_of_these_comparisons() -> None:
    """Against scikit-learn, comparison by comparison, on other people than the calibration's."""
    known = made.samples(people=12, shots=4)
    calibration = calibrate(known.vectors, known.person_numbers, "f")
    samples = made.samples(people=15, shots=3, spread=1.2, seed=1)
    found = likelihood(AllPairs(samples, seed=0), calibration)
    assert found is not None
    rows, columns = np.triu_indices(45, 1)
    same = samples.person_numbers[rows] == samples.person_numbers[columns]
    similarities = np.sum(samples.vectors[rows] * samples.vectors[columns], axis=1)
    bins = np.searchsorted(np.array(found.thresholds, np.float32), similarities, side="right") - 1
    posterior = IsotonicRegression().fit_transform(bins, same)
    prior = same.sum() / (~same).sum()
    inner = (posterior > 0) & (posterior < 1)
    assert len(set(posterior[inner])) > 5
    for at, share in zip(bins[inner], posterior[inner], strict=True):
        ratio = math.log10(share / (1 - share) / prior)
        bounded = min(max(ratio, math.log10(3 / 15)), math.log10(15 * 14 / 2 / 3))
        assert found.here[at] == pytest.approx(bounded)


def test_of_listed_pairs_it_goes_no_further_than_their_people_can_show() -> None:
    """Five people are compared with themselves, seven pairs of people with each other."""
    samples = made.samples(people=12, shots=4, spread=0.01)
    calibration = calibrate(samples.vectors, samples.person_numbers, "f")
    first = np.array([*(4 * p for p in range(5)), *(4 * p for p in range(7))])
    second = np.array([*(4 * p + 1 for p in range(5)), *(4 * p + 5 for p in range(7))])
    listed = ListedPairs(samples, Trials(first, second, np.zeros(12, np.int64), 0), seed=0)
    assert (listed.genuine_people, listed.people_pairs) == (5, 7)
    found = likelihood(listed, calibration)
    assert found is not None
    assert (found.here[0], found.here[-1]) == pytest.approx((math.log10(3 / 5), math.log10(7 / 3)))


def test_without_a_calibration_there_is_no_curve() -> None:
    assert likelihood(AllPairs(made.samples(people=3, shots=2), 0), None) is None
