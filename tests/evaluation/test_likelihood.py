"""What a similarity is worth, by the calibration and here."""

import math

import numpy as np
import pytest

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


def test_of_people_who_are_less_alike_to_themselves_the_curve_is_flatter() -> None:
    samples = made.samples(people=12, shots=4)
    calibration = calibrate(samples.vectors, samples.person_numbers, "f")
    worse = likelihood(AllPairs(made.samples(people=12, shots=4, spread=1.5), 0), calibration)
    assert worse is not None
    assert worse.here == sorted(worse.here)
    above = np.array(worse.by_calibration) > 0.5
    assert (np.array(worse.here) < worse.by_calibration)[above].sum() > above.sum() / 2


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
