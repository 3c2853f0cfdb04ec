import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import det_curve

from mien.matching.metrics import Comparisons, cross_compare

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
