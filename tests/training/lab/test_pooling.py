"""The experiment on pooling."""

import numpy as np
import pytest

from mien_training.data import Crops
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import pooling
from mien_training.lab.experiments.pooling import BESIDE, CHANGED, ERROR, POOLED, SETTINGS, SIDE
from mien_training.lab.record import Comparison, Table, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

FIELDS = {
    pooling.NONE: 1 + 2 + 2,
    pooling.SKIPPED: 1 + 2 + 2 * 2,
    pooling.MAX: 1 + 2 + 1 + 2 * 2 + 2,
    pooling.SUM: 1 + 2 + 1 + 2 * 2 + 2,
    pooling.OVERLAPPING_MAX: 1 + 2 + 2 + 2 * 2 + 2 * 2,
    pooling.OVERLAPPING_SUM: 1 + 2 + 2 + 2 * 2 + 2 * 2,
}
"""A layer adds its window less one, times the strides before it."""


@pytest.fixture(scope="module")
def result() -> Result:
    return pooling.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


def test_it_runs_and_compares_all_settings(result: Result) -> None:
    (table,) = result.tables
    assert list(table.means) == list(SETTINGS)
    assert len(result.comparisons) == len(POOLED) * len(BESIDE) + 2
    assert {curve.setting for curve in result.curves} == set(SETTINGS)
    assert all(curve.y[0] == 0 for curve in result.curves)
    for curve in result.curves:
        assert np.mean(curve.y[1:3]) == pytest.approx(table.means[curve.setting][CHANGED], rel=1e-4)


def test_units_see_what_the_formula_says(result: Result) -> None:
    seen = {name: figures[SIDE] for name, figures in result.tables[0].means.items()}
    assert seen == FIELDS


def test_nothing_of_a_framed_digit_is_lost_when_it_moves() -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3) + 1
    crops = pooling.framed(Crops(("0", "1"), images, np.array([0, 1])))
    margin = pooling.LARGEST_SHIFT
    assert crops.images.shape == (2, 4 + 2 * margin, 4 + 2 * margin, 3)
    for moved in pooling.moved(crops.images, margin):
        assert moved.sum() == images.sum()
        assert not np.array_equal(moved, crops.images)
    down, _, right, _ = pooling.moved(crops.images, margin)
    assert np.array_equal(down[:, 2 * margin :, margin:-margin], images)
    assert np.array_equal(right[:, margin:-margin, 2 * margin :], images)


def tables(pooled_sees: float = 10.0) -> Table:
    figures = {
        name: {CHANGED: 10.0, ERROR: 5.0, SIDE: pooled_sees if name in POOLED else 5.0}
        for name in SETTINGS
    }
    return made_up.table("Digits", **figures)


def comparisons(highs: list[float]) -> list[Comparison]:
    return [made_up.comparison(high - 5, high) for high in highs]


def test_fewer_changes_than_both_others_reproduce() -> None:
    finding = pooling.judge(tables(), comparisons([-1, -1, -1, -1, 3, 3]))
    assert finding.verdict is Verdict.REPRODUCED


@pytest.mark.parametrize("high", [3.0, 9.0])
@pytest.mark.parametrize("which", range(4))
def test_one_that_does_not_keep_to_its_side_does_not(which: int, high: float) -> None:
    highs = [-1.0] * 6
    highs[which] = high
    expected = Verdict.INCONCLUSIVE if high < 5 else Verdict.NOT_REPRODUCED
    assert pooling.judge(tables(), comparisons(highs)).verdict is expected


def test_seeing_no_more_does_not() -> None:
    finding = pooling.judge(tables(pooled_sees=5.0), comparisons([-1] * 6))
    assert finding.verdict is Verdict.NOT_REPRODUCED
