import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from mien.matching.likelihood import log10_ratios
from mien.matching.support import smallest_fmr, smallest_fnmr

MANY = 10**6
counts = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30
).filter(lambda bins: sum(g for g, _ in bins) > 0 and sum(i for _, i in bins) > 0)


def ratios(bins: list[tuple[int, int]], people: int = MANY) -> list[float]:
    genuine, impostor = np.array(bins, float).T
    return log10_ratios(
        genuine / genuine.sum(),
        impostor / impostor.sum(),
        smallest_fnmr(people),
        smallest_fmr(people),
    )


@given(counts)
def test_they_are_the_isotonic_regression_of_the_posterior(bins: list[tuple[int, int]]) -> None:
    """Against scikit-learn, on every comparison by itself."""
    genuine, impostor = np.array(bins).T
    scores = np.repeat(np.arange(len(bins)), genuine + impostor)
    labels = np.concatenate([np.repeat([1, 0], pair) for pair in bins])
    posterior = IsotonicRegression().fit(scores, labels).predict(scores)
    prior = genuine.sum() / impostor.sum()
    found = ratios(bins)
    for score, share in zip(scores, posterior, strict=True):
        if 1e-9 < share < 1 - 1e-9:
            assert found[score] == pytest.approx(math.log10(share / (1 - share) / prior))


@given(counts, st.integers(0, 500))
def test_they_never_fall_and_people_bound_them(bins: list[tuple[int, int]], people: int) -> None:
    found = ratios(bins, people)
    assert len(found) == len(bins)
    assert found == sorted(found)
    assert max(0, *found) <= max(0, math.log10(max(1, math.comb(people, 2)) / 3))
    assert min(0, *found) >= min(0, math.log10(3 / max(1, people)))


def test_where_one_kind_never_fell_the_bound_stands_for_infinity() -> None:
    assert ratios([(0, 9), (5, 5), (9, 0)], people=30) == pytest.approx(
        [math.log10(3 / 30), 0, math.log10(30 * 29 / 2 / 3)]
    )


def test_a_bin_that_nothing_fell_into_is_pooled_with_a_neighbour() -> None:
    assert ratios([(1, 9), (0, 0), (9, 1)])[1] in (pytest.approx(-math.log10(9)),
                                                   pytest.approx(math.log10(9)))  # fmt: skip
    assert log10_ratios([0.0], [0.0], 0.3, 0.1) == [0]
