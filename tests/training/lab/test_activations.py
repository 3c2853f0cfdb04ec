"""The experiment on activation functions."""

import math

import numpy as np
import pytest

from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import activations
from mien_training.lab.experiments.activations import (
    ABOVE,
    BELOW,
    LEAKY,
    RELU,
    SIGMOID,
    TANH,
    TIME,
)
from mien_training.lab.experiments.init import BACKWARD
from mien_training.lab.fits import EER, ERROR
from mien_training.lab.record import Comparison, Table, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

SLOPES = {RELU: (0.0, 1.0), LEAKY: (0.01, 1.0), TANH: (0.07, 0.07), SIGMOID: (0.1, 0.1)}
BACK = {RELU: 0.0, LEAKY: 0.0, TANH: -0.3, SIGMOID: -5.0}


def tables(
    slopes: dict[str, tuple[float, float]] = SLOPES, back: dict[str, float] = BACK
) -> tuple[Table, Table, Table]:
    functions = {
        name: {TIME: 1.0, BELOW: below, ABOVE: above} for name, (below, above) in slopes.items()
    }
    digits = {name: {ERROR: 3.0, BACKWARD: value} for name, value in back.items()}
    faces = {name: {EER: 11.0} for name in back}
    return (
        made_up.table("Functions", **functions),
        made_up.table("Digits", **digits),
        made_up.table("Faces", **faces),
    )


def times(*intervals: tuple[float, float]) -> list[Comparison]:
    return [made_up.comparison(*interval, figure=TIME) for interval in intervals]


FASTER = times((-2, -1), (-3, -1))


def test_cheap_and_passing_gradients_is_reproduced() -> None:
    found = activations.judge(*tables(), FASTER)
    assert found.verdict is Verdict.REPRODUCED
    assert "-5.0 (sigmoid) powers of ten" in found.sentence
    assert "Slopes below 0 are 0 with ReLU and 0.01 with the leaky one" in found.sentence


@pytest.mark.parametrize(
    ("comparisons", "verdict"),
    [
        (times((-2, -1), (-1, 1)), Verdict.INCONCLUSIVE),
        (times((-2, -1), (1, 2)), Verdict.NOT_REPRODUCED),
    ],
)
def test_relu_must_be_faster_than_both(comparisons: list[Comparison], verdict: Verdict) -> None:
    assert activations.judge(*tables(), comparisons).verdict is verdict


def test_errors_decide_nothing() -> None:
    worse = [*FASTER, made_up.comparison(-9, -8, figure=ERROR, first=RELU, second=SIGMOID)]
    assert activations.judge(*tables(), worse).verdict is Verdict.REPRODUCED


def test_another_slope_or_smaller_gradients_are_told() -> None:
    leak = SLOPES | {LEAKY: (0.2, 1.0)}
    assert activations.judge(*tables(leak), FASTER).verdict is Verdict.NOT_REPRODUCED
    lost = BACK | {RELU: -6.0}
    assert activations.judge(*tables(back=lost), FASTER).verdict is Verdict.NOT_REPRODUCED


def test_slopes_are_those_of_the_formulas() -> None:
    assert activations.slopes(RELU) == (0.0, 1.0)
    assert activations.slopes(LEAKY) == (0.01, 1.0)
    steep = 1 - math.tanh(2) ** 2
    assert activations.slopes(TANH) == pytest.approx((steep, steep))
    sigmoid = 1 / (1 + math.exp(-2))
    assert activations.slopes(SIGMOID) == pytest.approx([sigmoid * (1 - sigmoid)] * 2)


@pytest.fixture(scope="module")
def result() -> Result:
    return activations.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_it_runs_small(result: Result) -> None:
    functions, digits, faces = result.tables
    for table in result.tables:
        assert list(table.means) == list(activations.FUNCTIONS)
    assert all(functions.means[name][TIME] > 0 for name in activations.FUNCTIONS)
    assert digits.means[SIGMOID][BACKWARD] < digits.means[RELU][BACKWARD] - 2
    assert all(0 < faces.means[name][EER] < 60 for name in activations.FUNCTIONS)
    drawn = {curve.setting: curve for curve in result.curves if curve.panel == "function"}
    assert drawn[RELU].y == pytest.approx(np.maximum(drawn[RELU].x, 0))


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
