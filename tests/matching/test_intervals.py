import tracemalloc
from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DatasetInvalid
from mien.matching import intervals
from mien.matching.intervals import (
    Interval,
    accuracy_interval,
    around_eer,
    eer_interval,
    eers,
    interval,
    pair_rate_intervals,
    quantiles,
    rate_intervals,
)
from mien.matching.metrics import cross_compare
from mien.matching.resampling import Pairs, draw, resample_rates
from tests.matching.looks import looks


def test_an_interval_is_the_middle_95_percent_of_the_resamples() -> None:
    values = np.linspace(0.2, 0.4, 1001)
    found = interval(np.r_[values, np.nan], independent=1000)
    assert (found.low, found.high) == pytest.approx((0.205, 0.395))


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0.0, 0.3), (1.0, 0.7, 1.0)])
def test_no_error_seen_is_no_proof_that_there_is_none(rate: float, low: float, high: float) -> None:
    assert interval(np.full(50, rate), independent=10) == Interval(low, high)
    assert interval(np.full(50, rate), independent=2) == Interval(0, 1)


@pytest.mark.parametrize(("values", "independent"), [([np.nan], 5), ([], 5), ([0.5], 0)])
def test_a_rate_of_nothing_has_no_interval(values: list[float], independent: int) -> None:
    with pytest.raises(DatasetInvalid, match="no comparison to come from"):
        interval(np.array(values), independent)


def test_intervals_hold_the_rates_and_come_in_the_order_of_the_thresholds() -> None:
    vectors, people = looks(30, 4)
    comparisons = cross_compare(vectors, people)
    thresholds = [0.7, -0.2, 0.4, 0.4]
    found = rate_intervals(vectors, people, thresholds)
    assert [one.threshold for one in found] == pytest.approx(thresholds)
    assert found[2] == found[3]
    for one in found:
        assert one.fmr.low <= comparisons.fmr(one.threshold) <= one.fmr.high
        assert one.fnmr.low <= comparisons.fnmr(one.threshold) <= one.fnmr.high


def test_intervals_are_the_quantiles_of_the_resamples() -> None:
    vectors, people = looks(30, 4)
    (found,) = rate_intervals(vectors, people, [0.3], seed=4)
    resampled = resample_rates(vectors, people, np.array([0.3], np.float32), seed=4)
    low, high = np.quantile(resampled.fmr, [0.025, 0.975])
    assert (found.fmr.low, found.fmr.high) == pytest.approx((low, high))
    low, high = np.quantile(resampled.fnmr, [0.025, 0.975])
    assert (found.fnmr.low, found.fnmr.high) == pytest.approx((low, high))


def test_upper_ends_keep_the_rule_of_three_on_people() -> None:
    vectors, people = looks(20, 3, spread=0.01)
    vectors, people = np.r_[vectors, vectors[:1]], np.r_[people, 5]  # one with one picture
    (strict,) = rate_intervals(vectors[:-1], people[:-1], [0.999_999])
    assert strict.fmr == Interval(0, 3 / (20 * 19 / 2))
    (open_to_all,) = rate_intervals(vectors, people, [-1.1])
    assert open_to_all.fnmr == Interval(0, 3 / 20)
    assert open_to_all.fmr == Interval(1 - 3 / (21 * 20 / 2), 1)


@pytest.mark.parametrize(("people", "shots"), [(1, 5), (5, 1)])
def test_nobody_to_compare_with_is_refused(people: int, shots: int) -> None:
    with pytest.raises(DatasetInvalid, match="no comparison to come from"):
        rate_intervals(*looks(people, shots), [0.5])


def test_intervals_over_given_pairs_are_those_over_all_comparisons() -> None:
    vectors, people = looks(12, 3)
    first, second = np.triu_indices(len(people), 1)
    similarities = (vectors @ vectors.T)[first, second]
    pairs = Pairs(people[first], people[second])
    listed = pair_rate_intervals(similarities, pairs, [0.5, 0.1], seed=3)
    everything = rate_intervals(vectors, people, [0.5, 0.1], seed=3)
    for one, other in zip(listed, everything, strict=True):
        assert (one.fmr.low, one.fmr.high) == pytest.approx((other.fmr.low, other.fmr.high))
        assert (one.fnmr.low, one.fnmr.high) == pytest.approx((other.fnmr.low, other.fnmr.high))


def test_people_make_intervals_wider_than_comparisons_would() -> None:
    """Ten people, of whom one is always missed: 10 %, but of people, not of 450 comparisons."""
    people = np.repeat(np.arange(10), 10)
    vectors = np.eye(110, dtype=np.float32)[people]
    vectors[:10] = np.eye(110, dtype=np.float32)[100:]
    (found,) = rate_intervals(vectors, people, [0.5])
    assert found.fnmr.low == 0
    assert found.fnmr.high == pytest.approx(0.3)


def test_about_nineteen_of_twenty_intervals_hold_the_true_rates() -> None:
    """People who are alike with everybody (lambs and wolves), so that comparisons depend.

    Intervals that take comparisons to be independent hold the true FMR less than half the time.
    """
    count, shots, threshold, trials = 60, 4, 0.8, 100
    common, own = 0.25, 0.3
    first, second = np.triu_indices(count, 1)
    people = np.arange(count).repeat(shots)
    pairs = Pairs(np.r_[people, first], np.r_[people, second])
    true_fmr = 1 - normal_below(threshold / np.hypot(np.sqrt(2) * common, own))
    true_fnmr = normal_below((threshold - 1) / np.hypot(common, own))
    held = np.zeros(3)
    for trial in range(trials):
        random = np.random.default_rng(trial)
        person = random.normal(0, common, count)
        means = np.r_[1 + person[people], person[first] + person[second]]
        similarities = (means + random.normal(0, own, len(means))).astype(np.float32)
        (found,) = pair_rate_intervals(similarities, pairs, [threshold], seed=trial)
        fmr = (similarities[~pairs.same] >= threshold).mean()
        independent = 1.96 * np.sqrt(fmr * (1 - fmr) / len(first))
        held += [
            found.fmr.low <= true_fmr <= found.fmr.high,
            found.fnmr.low <= true_fnmr <= found.fnmr.high,
            abs(fmr - true_fmr) <= independent,
        ]
    assert (held[:2] / trials >= 0.9).all()
    assert held[2] / trials < 0.5


def normal_below(value: float) -> float:
    return (1 + erf(value / sqrt(2))) / 2


@pytest.mark.parametrize("chunk", [7, 4096])
def test_accuracy_is_resampled_by_the_people_in_the_pairs(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(intervals, "CHUNK", chunk)
    random = np.random.default_rng(0)
    first = random.integers(50, size=400)
    second = np.where(np.arange(400) % 2 == 0, first, random.integers(50, size=400))
    correct = random.random(400) < 0.9
    drawn = draw(50, 0)
    weights = np.array(
        [drawn[a] if a == b else drawn[a] * drawn[b] for a, b in zip(first, second, strict=True)]
    )
    low, high = np.quantile((weights * correct[:, None]).sum(0) / weights.sum(0), [0.025, 0.975])
    found = accuracy_interval(correct, Pairs(first + 7, second + 7))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-5)


def test_the_eer_of_a_curve_is_where_it_crosses() -> None:
    fmr = np.array([[0.5, 0.2, 0.1], [0.9, 0.8, 0.7], [0.0, 0.0, 0.0]])
    fnmr = np.array([[0.1, 0.2, 0.4], [0.0, 0.0, 0.1], [0.2, 0.3, 0.4]])
    assert eers(fmr, fnmr) == pytest.approx([0.2, 0.4375, 1 / 6])


@pytest.mark.parametrize("spread", [0.01, 0.4, 1.0, 3.0])
def test_the_interval_of_the_eer_holds_it(spread: float) -> None:
    vectors, people = looks(25, 4, spread=spread)
    comparisons = cross_compare(vectors, people)
    found = eer_interval(vectors, people, comparisons)
    assert found.low <= comparisons.eer() <= found.high
    assert found.high >= 3 / 25


def test_the_eer_on_chosen_thresholds_is_near_that_of_the_full_curve() -> None:
    vectors, people = looks(40, 5)
    comparisons = cross_compare(vectors, people)
    fmr, fnmr = comparisons.rates(around_eer(comparisons))
    assert eers(fmr[None], fnmr[None])[0] == pytest.approx(comparisons.eer(), rel=0.02)


def test_no_square_of_similarities_is_held() -> None:
    vectors, people = looks(6000, 2)
    tracemalloc.start()
    try:
        rate_intervals(vectors, people, [0.2, 0.5])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    draws, block = 6000 * 1000 * 4, 256 * len(people) * 8
    assert peak < 3 * draws + 6 * block < len(people) ** 2 * 4


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_quantiles_of_sorted_values_are_those_of_numpy(
    values: list[float], shares: list[float]
) -> None:
    ascending = np.sort(np.array(values, np.float32))
    theirs = np.quantile(ascending.astype(float), shares)
    np.testing.assert_allclose(quantiles(ascending, np.array(shares)), theirs, atol=1e-12)
