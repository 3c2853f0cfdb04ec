"""The experiment on first weights."""

import pytest

from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import init
from mien_training.lab.experiments.init import BACKWARD, FORWARD, HE, LARGE, SMALL, XAVIER
from mien_training.lab.fits import ERROR
from mien_training.lab.layers import LayerSpread
from mien_training.lab.record import Table, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

GOOD = {
    "tanh, " + LARGE: (0.0, 9.0),
    "tanh, " + SMALL: (-15.0, -15.0),
    "tanh, " + XAVIER: (-0.5, -0.4),
    "tanh, " + HE: (0.0, 0.4),
    "ReLU, " + LARGE: (20.0, 20.0),
    "ReLU, " + SMALL: (-18.0, -18.0),
    "ReLU, " + XAVIER: (-2.9, -2.8),
    "ReLU, " + HE: (0.0, 0.1),
}


def table(**changed: tuple[float, float]) -> Table:
    figures = {
        name: {FORWARD: forward, BACKWARD: backward, ERROR: 12.5}
        for name, (forward, backward) in (GOOD | changed).items()
    }
    return made_up.table("Layers", **figures)


BETTER = [made_up.comparison(-80, -70)] * 4


def test_what_explodes_vanishes_and_holds_as_claimed_is_reproduced() -> None:
    found = init.judge(table(), BETTER)
    assert found.verdict is Verdict.REPRODUCED
    assert "too large, σ = 1: activations change by 10^20.0" in found.sentence


@pytest.mark.parametrize(
    "changed",
    [
        {"tanh, " + LARGE: (0.0, 2.9)},
        {"ReLU, " + SMALL: (-18.0, -2.0)},
        {"tanh, " + XAVIER: (-0.5, -1.4)},
        {"ReLU, " + HE: (1.2, 0.1)},
    ],
)
def test_one_that_does_not_is_enough(changed: dict[str, tuple[float, float]]) -> None:
    assert init.judge(table(**changed), BETTER).verdict is Verdict.NOT_REPRODUCED


def test_learning_must_be_better_too() -> None:
    open_one = [*BETTER[:3], made_up.comparison(-1, 1)]
    assert init.judge(table(), open_one).verdict is Verdict.INCONCLUSIVE
    worse = [*BETTER[:3], made_up.comparison(1, 2)]
    assert init.judge(table(), worse).verdict is Verdict.NOT_REPRODUCED


def test_the_way_is_from_the_first_to_the_last_layer_and_back() -> None:
    layers = [
        LayerSpread("2 Linear", 1.0, 0.001, 0.1),
        LayerSpread("3 Linear", 5.0, 0.5, 0.1),
        LayerSpread("4 Linear", 100.0, 1.0, 0.1),
    ]
    assert init.travelled(layers) == pytest.approx({FORWARD: 2.0, BACKWARD: -3.0})
    gone = [layers[0], LayerSpread("3 Linear", 0.0, 0.0, 0.0)]
    assert init.travelled(gone)[FORWARD] == pytest.approx(-38)


@pytest.fixture(scope="module")
def result() -> Result:
    return init.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_spreads_do_as_theory_says(result: Result) -> None:
    """Over a layer of n units ReLU's spread is multiplied by σ·√(n/2)."""
    means = result.tables[0].means
    factors = [(LARGE, 16 / 2**0.5), (SMALL, 0.16 / 2**0.5), (XAVIER, 0.5**0.5), (HE, 1.0)]
    for scheme, factor in factors:
        by_layer = means[f"ReLU, {scheme}"][FORWARD] / (init.LAYERS - 1)
        assert 10**by_layer == pytest.approx(factor, rel=0.08)
    assert len(result.comparisons) == 4
    panels = {(curve.panel, curve.setting) for curve in result.curves}
    assert {("activations", name) for name in GOOD} <= panels


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
