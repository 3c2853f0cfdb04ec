"""The experiment on optimisers and learning rates."""

import pytest

from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import optimisers
from mien_training.lab.experiments.optimisers import (
    ADAM,
    EARLY,
    FALLING,
    FIXED,
    FULL,
    HUGE,
    METHODS,
    SGD,
    STEEP,
    TINY,
)
from mien_training.lab.fits import ERROR, STEPS
from mien_training.lab.record import Comparison, Table, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

CLAIMED = {
    (ERROR, FULL, SGD): (-60.0, -50.0),
    (ERROR, STEEP, SGD): (-60.0, -50.0),
    (ERROR, ADAM, TINY): (70.0, 80.0),
    (EARLY, ADAM, HUGE): (-20.0, -10.0),
    (ERROR, FIXED, FALLING): (-2.0, -1.0),
}


def table() -> Table:
    figures = {ERROR: 4.0, EARLY: 20.0, STEPS: 38.0}
    return made_up.table("Methods", **{name: dict(figures) for name in METHODS})


def comparisons(
    changed: dict[tuple[str, str, str], tuple[float, float]] | None = None,
) -> list[Comparison]:
    return [
        made_up.comparison(*interval, figure=figure, first=first, second=second)
        for (figure, first, second), interval in (CLAIMED | (changed or {})).items()
    ]


def test_all_parts_make_it_reproduced() -> None:
    found = optimisers.judge(table(), comparisons())
    assert found.verdict is Verdict.REPRODUCED
    assert "38 steps" in found.sentence


@pytest.mark.parametrize("key", CLAIMED, ids=" ".join)
def test_one_part_the_other_way_round_is_enough(key: tuple[str, str, str]) -> None:
    low, high = CLAIMED[key]
    opposite = optimisers.judge(table(), comparisons({key: (-high, -low)}))
    assert opposite.verdict is Verdict.NOT_REPRODUCED
    assert optimisers.judge(table(), comparisons({key: (-1, 1)})).verdict is Verdict.INCONCLUSIVE


@pytest.fixture(scope="module")
def result() -> Result:
    return optimisers.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_it_runs_small(result: Result) -> None:
    (found,) = result.tables
    assert list(found.means) == list(METHODS)
    assert found.means[FULL][STEPS] == 1
    assert found.means[SGD][STEPS] == 38
    assert found.means[ADAM][EARLY] == found.means[ADAM][ERROR], "one epoch is the end"
    assert found.means[ADAM][ERROR] < found.means[TINY][ERROR]


def test_the_same_losses_are_drawn_by_steps_and_by_seconds(result: Result) -> None:
    curves = {(curve.panel, curve.setting): curve for curve in result.curves}
    by_steps, by_time = curves[STEPS, SGD], curves[optimisers.SECONDS, SGD]
    assert by_steps.y == by_time.y
    assert by_steps.x[-1] == 38
    assert list(by_time.x) == sorted(by_time.x)


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
