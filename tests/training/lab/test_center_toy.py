"""The experiment on center loss in two dimensions."""

import numpy as np
import pytest

from mien_training.data import Crops
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import center_toy
from mien_training.lab.experiments.center_toy import (
    ERROR_TEST,
    SETTINGS,
    SPREAD_TEST,
    SPREAD_TRAIN,
    class_means,
    spread,
)
from mien_training.lab.record import Finding, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


def judged(**changed: tuple[float, float]) -> Finding:
    """Every step falls, but for those that are given: "test_3" is the third on test digits."""
    intervals = {
        f"{part}_{step}": (-0.2, -0.1) for part in ("train", "test") for step in range(1, 5)
    } | changed
    table = made_up.table(
        "Digits",
        **{
            setting: {SPREAD_TRAIN: 0.5 - number / 10, SPREAD_TEST: 0.6, ERROR_TEST: 9.0 - number}
            for number, setting in enumerate(SETTINGS)
        },
    )
    comparisons = [
        made_up.comparison(
            *intervals[f"{part}_{step}"],
            figure={"train": SPREAD_TRAIN, "test": SPREAD_TEST}[part],
            first=SETTINGS[step - 1],
            second=SETTINGS[step],
        )
        for part in ("train", "test")
        for step in range(1, 5)
    ]
    errors = made_up.comparison(-1, 1, figure=ERROR_TEST)
    return center_toy.judge(table, [*comparisons, errors])


def test_it_is_reproduced_where_every_step_falls() -> None:
    found = judged()
    assert found.verdict is Verdict.REPRODUCED
    assert "0.500, 0.400, 0.300, 0.200, 0.100 (it falls at every step)" in found.sentence
    assert "with λ = 1: 5.00 %, against 9.00 % with softmax alone" in found.sentence


def test_a_step_that_rises_is_told_and_decides() -> None:
    found = judged(test_4=(0.1, 0.2), test_3=(-0.1, 0.1))
    assert found.verdict is Verdict.NOT_REPRODUCED
    assert "(it rises at λ = 1; it stays, as far as chance lets tell, at λ = 0.1)" in found.sentence


def test_a_step_that_may_be_chance_leaves_it_open() -> None:
    assert judged(train_1=(-0.1, 0.1)).verdict is Verdict.INCONCLUSIVE


def test_a_spread_is_a_distance_in_units_of_that_between_classes() -> None:
    """Two classes at ±10 on a line, each with pictures one off its mean."""
    points = np.array([[9.0, 0], [11, 0], [-10, 1], [-10, -1]])
    crops = Crops(("a", "b"), np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 0, 1, 1]))
    means = class_means(points, crops)
    assert means.tolist() == [[10, 0], [-10, 0]]
    assert spread(points, crops, means).tolist() == pytest.approx([0.1] * 4)
    scaled = spread(7 * points + 3, crops, class_means(7 * points + 3, crops))
    assert scaled.tolist() == pytest.approx([0.1] * 4)


@pytest.fixture(scope="module")
def result() -> Result:
    return center_toy.EXPERIMENT.run(Trial(Scale(seeds=2, epochs=1)))


def test_it_runs_small(result: Result) -> None:
    (table,) = result.tables
    assert list(table.means) == list(SETTINGS)
    assert len(table.rows) == 2 * len(SETTINGS)
    assert len(result.comparisons) == 3 * 4
    assert {each.resampled for each in result.comparisons} == {
        "1198 training pictures and 2 seeds",
        "599 test pictures and 2 seeds",
    }
    assert len(result.figure.axes) == 2 * len(SETTINGS)


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
