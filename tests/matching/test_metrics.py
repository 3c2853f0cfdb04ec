import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import det_curve, roc_auc_score, roc_curve

from mien.errors import DatasetInvalid, InvalidEmbedding
from mien.matching import metrics
from mien.matching.intervals import around_eer
from mien.matching.metrics import (
    Comparisons,
    aucs,
    cross_compare,
    eers,
    pair_similarities,
)
from tests.matching.looks import looks, on_a_grid

similarities = st.lists(st.sampled_from(np.linspace(-1, 1, 21).tolist()), min_size=1, max_size=40)


def comparisons(genuine: list[float], impostor: list[float]) -> Comparisons:
    return Comparisons(np.array(genuine, np.float32), np.array(impostor, np.float32))


def test_rates_count_what_is_at_or_above_the_threshold() -> None:
    four = comparisons([0.4, 0.6, 0.8, 0.9], [0.1, 0.2, 0.5, 0.6])
    assert four.fmr(0.5) == 0.5
    assert four.fnmr(0.6) == 0.25
    assert four.fmr(0.61) == 0
    assert four.fnmr(-1) == 0


@given(similarities, similarities, st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]))
def test_the_threshold_for_an_fmr_is_the_lowest_that_keeps_it(
    genuine: list[float], impostor: list[float], fmr: float
) -> None:
    found = comparisons(genuine, impostor)
    threshold = found.threshold_at_fmr(fmr)
    assert found.fmr(threshold) <= fmr
    lower = [value for value in [*impostor, -1.0] if np.float32(value) < threshold]
    assert all(found.fmr(value) > fmr for value in lower)


@given(similarities, similarities)
def test_det_equals_a_slow_loop(genuine: list[float], impostor: list[float]) -> None:
    found = comparisons(genuine, impostor)
    fmr, fnmr = found.det()
    thresholds = sorted({*map(np.float32, genuine), *map(np.float32, impostor)})
    slow = [
        (
            sum(np.float32(s) >= t for s in impostor) / len(impostor),
            sum(np.float32(s) < t for s in genuine) / len(genuine),
        )
        for t in thresholds
    ]
    np.testing.assert_allclose(np.stack([fmr, fnmr], axis=1), [*slow, (0, 1)])


def test_det_equals_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    genuine, impostor = random.normal(1, 1, 200), random.normal(-1, 1, 500)
    ours = {
        (round(float(a), 9), round(float(b), 9))
        for a, b in zip(*comparisons(list(genuine), list(impostor)).det(), strict=True)
    }
    labels = np.r_[np.ones(200), np.zeros(500)]
    scores = np.r_[genuine, impostor].astype(np.float32)
    fmr, fnmr, _ = det_curve(labels, scores)
    theirs = {(round(a, 9), round(b, 9)) for a, b in zip(fmr, fnmr, strict=True)}
    assert theirs <= ours


@pytest.mark.parametrize(
    ("genuine", "impostor", "eer"),
    [
        ([0.9, 0.8], [0.1, 0.2], 0.0),
        ([0.1, 0.2], [0.9, 0.8], 1.0),
        ([0.5, 0.9], [0.1, 0.6], 0.5),
        ([0.5], [0.5], 0.5),
        ([0.1, 0.5, 0.6, 0.7], [0.0, 0.2, 0.3, 0.55], 0.25),
    ],
)
def test_the_equal_error_rate_of_small_cases(
    genuine: list[float], impostor: list[float], eer: float
) -> None:
    assert comparisons(genuine, impostor).eer() == pytest.approx(eer)


@given(similarities, similarities)
def test_the_equal_error_rate_lies_between_the_rates_around_the_crossing(
    genuine: list[float], impostor: list[float]
) -> None:
    found = comparisons(genuine, impostor)
    fmr, fnmr = found.det()
    assert np.maximum(fmr, fnmr).min() + 1e-9 >= found.eer() >= np.minimum(fmr, fnmr).max() - 1e-9


def test_cross_comparison_takes_every_pair_once() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    found = cross_compare(vectors, np.array([0, 0, 1]))
    assert found.genuine.tolist() == [0]
    assert found.impostor.tolist() == [0, 1]


@given(similarities, similarities)
def test_auc_and_the_roc_curve_equal_those_of_scikit_learn_with_ties(
    genuine: list[float], impostor: list[float]
) -> None:
    found = comparisons(genuine, impostor)
    labels = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    scores = np.r_[genuine, impostor].astype(np.float32)
    assert found.auc() == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    their_fmr, their_tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    fmr, fnmr = found.det()
    np.testing.assert_allclose(fmr[::-1], their_fmr, atol=1e-12)
    np.testing.assert_allclose(1 - fnmr[::-1], their_tpr, atol=1e-12)


@given(similarities, similarities)
def test_the_equal_error_rate_is_that_of_the_full_curve(
    genuine: list[float], impostor: list[float]
) -> None:
    found = comparisons(genuine, impostor)
    fmr, fnmr = found.det()
    after = next(i for i in range(len(fmr)) if fnmr[i] >= fmr[i])
    gap, gap_after = fmr[after - 1] - fnmr[after - 1], fnmr[after] - fmr[after]
    slow = fmr[after - 1] + gap / (gap + gap_after) * (fmr[after] - fmr[after - 1])
    assert found.eer() == pytest.approx(slow, abs=1e-12)
    assert eers(fmr[None], fnmr[None]) == pytest.approx(slow, abs=1e-12)


@given(similarities, similarities)
def test_the_area_of_a_curve_through_every_similarity_is_that_of_the_comparisons(
    genuine: list[float], impostor: list[float]
) -> None:
    found = comparisons(genuine, impostor)
    fmr, fnmr = found.det()
    assert aucs(fmr[None], fnmr[None]) == pytest.approx(found.auc(), abs=1e-12)


def test_each_curve_has_its_own_eer_and_area_and_without_rates_none() -> None:
    fmr = np.array([[0.5, 0.2, 0.1], [0.9, 0.8, 0.7], [0.0, 0.0, 0.0], [np.nan] * 3])
    fnmr = np.array([[0.1, 0.2, 0.4], [0.0, 0.0, 0.1], [0.2, 0.3, 0.4], [0.1, 0.2, 0.3]])
    assert eers(fmr, fnmr) == pytest.approx([0.2, 0.4375, 1 / 6, np.nan], nan_ok=True)
    assert aucs(fmr, fnmr) == pytest.approx([0.83, 0.61, 0.9, np.nan], nan_ok=True)


def test_a_thinned_curve_lies_on_the_full_one_and_keeps_its_ends() -> None:
    random = np.random.default_rng(0)
    many = comparisons(list(random.normal(1, 1, 3000)), list(random.normal(-1, 1, 9000)))
    full = {*zip(*many.det(points=12_000), strict=True)}
    fmr, fnmr = many.det(points=200)
    assert {*zip(fmr, fnmr, strict=True)} <= full
    assert 120 < len(fmr) <= 202
    assert (fmr[0], fnmr[0], fmr[-1], fnmr[-1]) == (1, 0, 0, 1)
    assert fmr[fmr > 0].min() == 1 / 9000
    assert fnmr[fnmr > 0].min() == pytest.approx(1 / 3000)


def test_rates_of_sorted_similarities_take_no_memory_worth_speaking_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "CHUNK", 1 << 14)
    genuine = np.linspace(-0.2, 1, 100_000, dtype=np.float32)
    impostor = np.linspace(-1, 0.6, 4_000_000, dtype=np.float32)
    tracemalloc.start()
    try:
        found = Comparisons(genuine, impostor)
        found.eer()
        found.auc()
        found.det()
        found.fnmr_at_fmr(1e-4)
        around_eer(found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.impostor is impostor
    assert peak < impostor.nbytes / 10


def test_similarities_in_no_order_are_sorted_and_the_callers_are_left_alone() -> None:
    mine = np.array([0.5, 0.1], np.float32)
    assert Comparisons(mine, mine).genuine.tolist() == sorted(mine.tolist())
    assert mine.tolist() == [0.5, np.float32(0.1)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_similarity_that_is_not_a_number_is_refused(place: int) -> None:
    values = np.array([0.1, 0.2, 0.3], np.float32)
    values[place] = np.nan
    with pytest.raises(InvalidEmbedding, match="1 of 3 similarities are not numbers"):
        Comparisons(values, np.zeros(1, np.float32))


def test_a_vector_that_is_not_finite_is_refused() -> None:
    vectors, people = looks(4, 2)
    vectors[3, 2] = np.inf
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(InvalidEmbedding, match="a vector is not finite"),
    ):
        cross_compare(vectors * np.float32(0), people)


@pytest.mark.parametrize(
    ("empty", "missing", "rates"),
    [
        (([], [0.1]), "genuine", ["fnmr", "eer", "auc", "det", "fnmr_at_fmr"]),
        (([0.1], []), "impostor", ["fmr", "eer", "auc", "det", "threshold_at_fmr"]),
    ],
)
def test_a_rate_without_its_comparisons_is_refused(
    empty: tuple[list[float], list[float]], missing: str, rates: list[str]
) -> None:
    found = comparisons(*empty)
    for name in rates:
        needed = [0.5] if name in {"fmr", "fnmr", "threshold_at_fmr", "fnmr_at_fmr"} else []
        with pytest.raises(DatasetInvalid, match=f"no {missing} comparisons"):
            getattr(found, name)(*needed)


@pytest.mark.parametrize("block_rows", [1, 3, 256])
@pytest.mark.parametrize(("count", "shots"), [(1, 4), (7, 1), (6, 5), (5, 2)])
def test_cross_comparison_equals_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch, block_rows: int, count: int, shots: int
) -> None:
    monkeypatch.setattr(metrics, "BLOCK_ROWS", block_rows)
    vectors, people = looks(count, shots)
    vectors = on_a_grid(vectors)
    found = cross_compare(vectors, people)
    slow: dict[bool, list[float]] = {True: [], False: []}
    for i, j in combinations(range(len(people)), 2):
        slow[people[i] == people[j]].append(float(vectors[i] @ vectors[j]))
    assert found.genuine.tolist() == sorted(slow[True])
    assert found.impostor.tolist() == sorted(slow[False])
    assert found.impostor.dtype == np.float32


def test_pairs_are_compared_row_by_row() -> None:
    first, second = on_a_grid(looks(3, 4)[0]), on_a_grid(looks(3, 4, seed=1)[0])
    rows = [float(a @ b) for a, b in zip(first, second, strict=True)]
    assert pair_similarities(first, second).tolist() == rows
