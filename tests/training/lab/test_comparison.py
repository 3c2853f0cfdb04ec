"""The paired bootstrap of the laboratory, against a slow loop and where the answer is known."""

import numpy as np
import pytest

from mien.matching.metrics import Comparisons
from mien.matching.paired import compare_rates
from mien.matching.resampling import RESAMPLES, draw
from mien_training.lab.comparison import FITS_SEED, Between, of_eers, of_units
from mien_training.lab.verification import Verified

BETWEEN = Between("error (%)", "a", "b")


def verified(noise: float, seed: int = 0, people: int = 6, shots: int = 4) -> Verified:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), shots)
    vectors = np.eye(people, 8)[labels] + noise * rng.normal(size=(len(labels), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Verified.of(vectors.astype(np.float32), labels)


def test_the_measured_means_and_their_difference_are_those_of_all_values() -> None:
    first, second = np.array([[1, 0, 0, 1], [1, 1, 0, 0]]), np.array([[0, 0, 0, 1], [1, 0, 0, 0]])
    found = of_units(BETWEEN, first, second, "pictures", scale=100)
    assert (found.first_value, found.second_value, found.difference) == (50, 25, -25)
    assert (found.figure, found.first, found.second) == ("error (%)", "a", "b")
    assert found.resampled == "4 pictures and 2 seeds"


def test_units_and_fits_are_drawn_as_a_slow_loop_draws_them() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(0, 1, (3, 20)), rng.normal(0.3, 1, (3, 20))
    units, fits = draw(20, 0).T, draw(3, FITS_SEED).T
    changes = []
    for resample in range(RESAMPLES):
        total = 0.0
        for fit in range(3):
            for unit in range(20):
                weight = fits[resample, fit] * units[resample, unit]
                total += weight * (second[fit, unit] - first[fit, unit])
        changes.append(total / 60)
    found = of_units(BETWEEN, first, second, "pictures")
    assert (found.low, found.high) == pytest.approx(np.quantile(changes, [0.025, 0.975]))


def test_what_is_the_same_does_not_differ() -> None:
    values = np.random.default_rng(0).random(30)
    found = of_units(BETWEEN, values, values, "seeds")
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.resampled == "30 seeds"


def test_a_difference_in_every_unit_is_no_chance() -> None:
    values = np.random.default_rng(0).random(30)
    found = of_units(BETWEEN, values, values - 1, "pictures")
    assert found.p_value == 2 / (RESAMPLES + 1)
    assert found.low == pytest.approx(-1)


def test_fits_that_differ_widen_the_interval() -> None:
    """One fit much better and one much worse: over pictures alone it would be certain."""
    second = np.array([[1.0] * 50, [-0.9] * 50, [1.0] * 50])
    found = of_units(BETWEEN, np.zeros((3, 50)), second, "pictures")
    assert found.low < 0 < found.high


def test_units_of_one_length_are_asked_for() -> None:
    with pytest.raises(ValueError, match="same units"):
        of_units(BETWEEN, [1, 2, 3], [1, 2], "pictures")
    with pytest.raises(ValueError, match="same units"):
        of_eers(BETWEEN, [verified(0.2)], [verified(0.2, people=5)])


def test_one_fit_is_compared_as_two_models_are() -> None:
    first, second = verified(0.2), verified(0.4)
    found = of_eers(BETWEEN, [first], [second])
    (known,) = compare_rates(first.similarities, second.similarities, first.pairs)
    assert found.difference == pytest.approx(100 * known.value)
    assert (found.low, found.high) == pytest.approx(
        (100 * known.interval.low, 100 * known.interval.high)
    )
    assert found.p_value == known.p_value
    assert found.resampled == "6 people"


def test_the_rates_of_several_fits_are_their_mean() -> None:
    fits = [verified(0.3, seed) for seed in range(3)]
    found = of_eers(BETWEEN, fits, [verified(0.6, seed) for seed in range(3)])
    assert found.first_value == pytest.approx(100 * np.mean([fit.eer for fit in fits]))
    assert found.resampled == "6 people and 3 seeds"
    assert found.low > 0


def test_all_pairs_are_compared_once() -> None:
    found = verified(0.3, people=3, shots=4)
    assert len(found.similarities) == 12 * 11 // 2
    assert found.pairs.same.sum() == 3 * (4 * 3 // 2)
    same = found.pairs.same
    assert found.eer == Comparisons(found.similarities[same], found.similarities[~same]).eer()


def test_rates_of_fits_and_people_are_drawn_as_a_slow_loop_draws_them() -> None:
    first, second = ([verified(noise, seed) for seed in range(3)] for noise in (0.4, 0.5))
    drawn = draw(3, FITS_SEED).T
    changes = []
    for resample in range(RESAMPLES):
        change = 0.0
        for fit, (one, other) in enumerate(zip(first, second, strict=True)):
            rates = other.resampled_eers[1 + resample], one.resampled_eers[1 + resample]
            change += drawn[resample, fit] * (rates[0] - rates[1])
        changes.append(100 * change / 3)
    known = [change for change in changes if not np.isnan(change)]
    found = of_eers(BETWEEN, first, second)
    assert (found.low, found.high) == pytest.approx(np.quantile(known, [0.025, 0.975]))
    below, above = sum(change <= 0 for change in known), sum(change >= 0 for change in known)
    assert found.p_value == pytest.approx(min(1, 2 * (1 + min(below, above)) / (1 + len(known))))


def test_a_rate_in_a_resample_is_that_of_pictures_drawn_as_often() -> None:
    """Everybody who was drawn twice stands there twice, and is no impostor to himself."""
    measured = verified(0.5)
    same, (one, other) = measured.pairs.same, (measured.pairs.first, measured.pairs.second)
    for resample in range(20):
        times = draw(6, 0)[:, resample]
        genuine, impostor = [], []
        for similarity, first, second, is_same in zip(
            measured.similarities, one, other, same, strict=True
        ):
            if is_same:
                genuine += [similarity] * int(times[first])
            else:
                impostor += [similarity] * int(times[first] * times[second])
        known = Comparisons(np.array(genuine), np.array(impostor)).eer()
        assert measured.resampled_eers[1 + resample] == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("between_fits", [0.0, 1.0, 2.0])
def test_where_nothing_differs_few_intervals_lie_on_one_side(between_fits: float) -> None:
    """As between three fits of one setting that differ by so many standard errors of a mean."""
    rng = np.random.default_rng(0)
    tries, units = 60, 50
    pictures = rng.normal(0, 1, units)
    wrongly = 0
    for _ in range(tries):
        one, other = (
            pictures
            + rng.normal(0, between_fits / np.sqrt(units), (3, 1))
            + rng.normal(0, 1, (3, units))
            for _ in range(2)
        )
        found = of_units(BETWEEN, one, other, "pictures")
        wrongly += not found.low <= 0 <= found.high
    assert wrongly / tries <= 0.1
