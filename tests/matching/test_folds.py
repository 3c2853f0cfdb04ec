from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DatasetInvalid, InvalidEmbedding
from mien.matching.folds import best_threshold, cross_validate, decided

pair = st.tuples(st.sampled_from(np.linspace(-1, 1, 11).tolist()), st.booleans())


def arrays(
    pairs: list[tuple[float, bool]],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    similarities, same = zip(*pairs, strict=True)
    return np.array(similarities, np.float32), np.array(same)


@given(st.lists(pair, min_size=1, max_size=25))
def test_no_threshold_is_more_accurate_than_the_best(pairs: list[tuple[float, bool]]) -> None:
    similarities, same = arrays(pairs)
    best = decided(similarities, same, best_threshold(similarities, same)).mean()
    for threshold in [*similarities.tolist(), 1.1]:
        assert best >= decided(similarities, same, threshold).mean()


@pytest.mark.parametrize(
    ("pairs", "threshold"),
    [
        ([(0.2, False), (0.6, True)], 0.4),
        ([(0.0, False), (0.1, True), (0.2, False), (0.6, True)], 0.4),  # the wider of two
        ([(0.0, False), (0.5, True), (0.5, False), (1.0, True)], 0.25),  # the lower of equals
        ([(0.2, True), (0.6, True)], -0.4),  # everything: between -1 and the lowest
        ([(0.2, False), (0.6, False)], 0.8),  # nothing: between the highest and 1
    ],
)
def test_the_middle_of_the_widest_best_interval_is_chosen(
    pairs: list[tuple[float, bool]], threshold: float
) -> None:
    assert best_threshold(*arrays(pairs)) == pytest.approx(threshold, abs=1e-6)


def test_neighbouring_floats_are_told_apart() -> None:
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    similarities, same = np.array([low, high]), np.array([False, True])
    assert best_threshold(similarities, same) == high


def test_pairs_above_one_are_told_apart_too() -> None:
    """A similarity of two equal vectors may round to just above 1."""
    highest = np.nextafter(np.float32(1), np.float32(2))
    similarities, same = np.array([0, highest], np.float32), np.array([True, False])
    assert decided(similarities, same, best_threshold(similarities, same)).mean() == 0.5


def test_cross_validation_equals_a_slow_loop() -> None:
    random = np.random.default_rng(0)
    same = random.random(300) < 0.5
    similarities = np.where(same, random.normal(0.4, 0.3, 300), random.normal(0, 0.3, 300))
    similarities = similarities.clip(-1, 1).astype(np.float32)
    folds = np.arange(300) % 10 + 1
    found = cross_validate(similarities, same, folds)
    accuracies = []
    for fold in range(1, 11):
        threshold = found.thresholds[fold - 1]
        others = [k for k in range(300) if folds[k] != fold]
        right = [sum((similarities[k] >= t) == same[k] for k in others) for t in similarities]
        assert sum((similarities[k] >= threshold) == same[k] for k in others) == max(right)
        mine = [k for k in range(300) if folds[k] == fold]
        accuracies.append(np.mean([(similarities[k] >= threshold) == same[k] for k in mine]))
    assert found.accuracies == pytest.approx(accuracies)
    assert found.accuracy == pytest.approx(sum(accuracies) / 10)
    deviations = [(a - found.accuracy) ** 2 for a in accuracies]
    assert found.standard_error == pytest.approx((sum(deviations) / 9) ** 0.5 / 10**0.5)
    assert found.correct.mean() == pytest.approx(found.accuracy)


def test_a_fold_does_not_choose_its_own_threshold() -> None:
    same = np.array([True, False] * 6)
    similarities = np.where(same, 0.8, 0.2).astype(np.float32)
    folds = np.repeat([0, 1, 2], 4)
    similarities[folds == 2] -= np.float32(0.5)  # as if it came from another camera
    found = cross_validate(similarities, same, folds)
    assert found.thresholds[2] == pytest.approx(0.5)
    assert found.accuracies[2] == 0.5


def test_one_fold_is_refused() -> None:
    with pytest.raises(DatasetInvalid, match="in 1 fold"):
        cross_validate(np.zeros(3, np.float32), np.ones(3, bool), np.ones(3, np.int64))


def test_no_pairs_are_refused() -> None:
    nothing = np.zeros(0, np.float32)
    with pytest.raises(DatasetInvalid, match="no pairs"):
        best_threshold(nothing, nothing.astype(bool))
    with pytest.raises(DatasetInvalid, match="no pairs"):
        decided(nothing, nothing.astype(bool), 0.5)


@pytest.mark.parametrize("measure", [best_threshold, lambda values, same: decided(values, same, 0)])
def test_a_similarity_that_is_not_a_number_is_refused(measure: Callable[..., float]) -> None:
    with pytest.raises(InvalidEmbedding, match="1 of 2 similarities are not numbers"):
        measure(np.array([0.1, np.nan], np.float32), np.array([True, False]))
