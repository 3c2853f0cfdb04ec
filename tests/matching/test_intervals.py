import tracemalloc
from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mien.errors import DatasetInvalid
from mien.matching import intervals
from mien.matching.intervals import (
    Interval,
    accuracy_interval,
    around_eer,
    curve_intervals,
    drawn_at,
    interval,
    pair_curve_intervals,
    quantiles,
    rate_intervals,
)
from mien.matching.metrics import Comparisons, aucs, cross_compare, eers
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
    comparisons = Comparisons(similarities[pairs.same], similarities[~pairs.same])
    listed = pair_curve_intervals(similarities, pairs, comparisons, [0.5, 0.1], seed=3)
    everything = curve_intervals(vectors, people, comparisons, [0.5, 0.1], seed=3)
    assert (listed.eer.low, listed.eer.high) == pytest.approx(
        (everything.eer.low, everything.eer.high), abs=1e-5
    )
    assert (listed.auc.low, listed.auc.high) == pytest.approx(
        (everything.auc.low, everything.auc.high), abs=1e-5
    )
    for one, other in zip(listed.rates, everything.rates, strict=True):
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
        comparisons = Comparisons(similarities[pairs.same], similarities[~pairs.same])
        curve = pair_curve_intervals(similarities, pairs, comparisons, [threshold], seed=trial)
        (found,) = curve.rates
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


@pytest.mark.parametrize("spread", [0.01, 0.4, 1.0, 3.0])
def test_the_intervals_of_a_curve_hold_its_eer_and_its_area(spread: float) -> None:
    vectors, people = looks(25, 4, spread=spread)
    comparisons = cross_compare(vectors, people)
    found = curve_intervals(vectors, people, comparisons, [])
    assert found.eer.low <= comparisons.eer() <= found.eer.high
    assert found.eer.high >= 3 / 25
    assert 0 <= found.auc.low <= comparisons.auc() <= found.auc.high <= 1
    assert found.auc.low <= 1 - 3 / 25
    assert found.rates == []


@pytest.mark.parametrize("people", [6, 15, 30])
@pytest.mark.parametrize("spread", [0.4, 1.0])
def test_eer_and_area_are_resampled_as_by_a_slow_loop(people: int, spread: float) -> None:
    """Scikit-learn's, of each resample by itself, each comparison as often as it was drawn."""
    vectors, owners = looks(people, 4, spread=spread)
    first, second = np.triu_indices(len(owners), 1)
    scores, labels = (vectors @ vectors.T)[first, second], owners[first] == owners[second]
    numbers = np.unique(owners, return_inverse=True)[1]
    areas, rates = [], []
    for times in draw(people, 3).T[:400]:
        weights = times[numbers[first]] * np.where(labels, 1, times[numbers[second]])
        if weights[~labels].sum() == 0:
            continue
        areas.append(roc_auc_score(labels, scores, sample_weight=weights))
        fmr, tmr, _ = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
        rates.append(eers(fmr[None, ::-1], 1 - tmr[None, ::-1])[0])
    at = drawn_at(cross_compare(vectors, owners))
    found = resample_rates(vectors, owners, at, 3)
    known = ~np.isnan(found.fmr[:400, 0])
    ours = aucs(found.fmr, found.fnmr)[:400][known]
    assert np.sqrt(np.mean((ours - areas) ** 2)) < 0.1 * np.std(areas)
    our_rates = eers(found.fmr, found.fnmr)[:400][known]
    for mine, slow in ((ours, areas), (our_rates, rates)):
        ends, slow_ends = (np.quantile(values, [0.025, 0.975]) for values in (mine, slow))
        assert ends == pytest.approx(slow_ends, abs=0.1 * np.ptp(slow_ends))


def test_one_pass_gives_what_a_pass_for_each_threshold_gives() -> None:
    vectors, people = looks(25, 4)
    comparisons = cross_compare(vectors, people)
    together = curve_intervals(vectors, people, comparisons, [0.5, -0.2, 0.5, 1.0], seed=2)
    assert together.rates == rate_intervals(vectors, people, [0.5, -0.2, 0.5, 1.0], seed=2)
    alone = curve_intervals(vectors, people, comparisons, [], seed=2)
    assert (together.eer, together.auc) == (alone.eer, alone.auc)


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
