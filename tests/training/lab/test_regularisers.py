"""The experiment on regularisers."""

import numpy as np
import pytest

from mien.errors import LearningStopped
from mien_training.batches import Batch
from mien_training.config.networks import Cnn
from mien_training.data import Crops
from mien_training.lab import recipes
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import regularisers
from mien_training.lab.experiments.regularisers import (
    DROP_CONNECT,
    EARLY,
    ERROR,
    LOSS,
    NONE,
    REGULARISERS,
    STOPPED,
    STRENGTH,
    STRENGTHS,
    TRAIN_LOSS,
    VALIDATION_LOSS,
)
from mien_training.lab.record import Comparison, Table, Verdict
from mien_training.learner import Learner
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


@pytest.fixture(scope="module")
def result() -> Result:
    return regularisers.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


def test_it_runs_and_compares_all_with_none(result: Result) -> None:
    (table,) = result.tables
    assert set(table.means) == {NONE, *REGULARISERS}
    assert [(each.figure, each.second) for each in result.comparisons] == [
        (figure, name) for figure in (LOSS, ERROR) for name in REGULARISERS
    ]
    for each in result.comparisons:
        assert each.first_value == pytest.approx(table.means[NONE][each.figure])
        assert each.second_value == pytest.approx(table.means[each.second][each.figure])


def test_strengths_are_of_those_to_choose_from(result: Result) -> None:
    means = result.tables[0].means
    assert all(means[name][STRENGTH] in strengths for name, strengths in STRENGTHS.items())


def test_curves_are_of_training_and_validation(result: Result) -> None:
    assert {(curve.panel, curve.setting) for curve in result.curves} == {
        (name, loss) for name in STRENGTHS for loss in (TRAIN_LOSS, VALIDATION_LOSS)
    }
    assert all(curve.x == (0, 1) for curve in result.curves)


def test_no_picture_is_learned_from_and_validated() -> None:
    train = Trial(Scale(1, 1)).digits(recipes.DIGIT_SIDE).train
    few = regularisers.few(train, seed=1)
    assert np.bincount(few.train.labels).tolist() == [regularisers.TRAIN] * 10
    assert np.bincount(few.validation.labels).tolist() == [regularisers.VALIDATION] * 10
    rows = np.arange(len(train.labels))
    numbered = Crops(train.people, rows[:, None, None, None], train.labels)  # type: ignore[arg-type]
    drawn = regularisers.few(numbered, seed=1)
    assert not np.intersect1d(drawn.train.images, drawn.validation.images).size
    assert np.array_equal(train.images[drawn.train.images.ravel()], few.train.images)
    other = regularisers.few(numbered, seed=2)
    assert not np.array_equal(other.train.images, drawn.train.images)


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([5, 4, 3, 2, 1], 4),
        ([5, 4, 6, 6, 6, 1], 1),  # ends before the 1
        ([5, 4, 6, 6, 1, 2], 4),
        ([5, 5, 5, 5, 5, 5], 0),
    ],
)
def test_early_stopping_takes_the_best_before_its_end(losses: list[float], best: int) -> None:
    assert regularisers.stop(losses, patience=3) == best


def table() -> Table:
    figures = {
        STRENGTH: 0.1,
        TRAIN_LOSS: 0.01,
        VALIDATION_LOSS: 1.0,
        LOSS: 1.0,
        ERROR: 20.0,
        STOPPED: 100.0,
    }
    return made_up.table("Digits", **dict.fromkeys((NONE, *REGULARISERS), figures))


def comparisons(*highs: float) -> list[Comparison]:
    """Of losses; errors are worse in all."""
    losses = [made_up.comparison(high - 1, high) for high in highs]
    return [*losses, *[made_up.comparison(1, 2)] * len(highs)]


def test_smaller_losses_of_all_reproduce_whatever_the_errors() -> None:
    finding = regularisers.judge(table(), comparisons(*[-0.1] * 5))
    assert finding.verdict is Verdict.REPRODUCED
    assert "a loss of 0.01000" in finding.sentence


@pytest.mark.parametrize("which", range(5))
def test_one_of_them_that_does_not_help_is_told(which: int) -> None:
    highs = [-0.1] * 5
    highs[which] = 0.5
    finding = regularisers.judge(table(), comparisons(*highs))
    assert finding.verdict is Verdict.INCONCLUSIVE
    highs[which] = 1.5
    finding = regularisers.judge(table(), comparisons(*highs))
    assert finding.verdict is Verdict.NOT_REPRODUCED


def test_each_setting_has_its_own_key_alone() -> None:
    for name, key in (("dropout", "dropout"), ("DropConnect", "drop_connect")):
        network = regularisers._recipe(name, 0.5, 1, 1).network
        assert (network.dropout, network.drop_connect) == tuple(
            0.5 if each == key else 0.0 for each in ("dropout", "drop_connect")
        )
    for name in (NONE, "L1", "L2"):
        optimiser = regularisers._recipe(name, 0.01, 1, 1).optimiser
        assert optimiser.l1 == (0.01 if name == "L1" else 0)
        assert optimiser.weight_decay == (0.01 if name == "L2" else 0)
    assert EARLY not in STRENGTHS


def test_a_run_that_diagnose_stops_early_is_averaged_as_far_as_it_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DropConnect's first run ends after two epochs; its network is measured as it stood."""
    step = Learner.step

    def stopping(learner: Learner, group: list[Batch]) -> dict[str, float]:
        network = learner.recipe.network
        assert isinstance(network, Cnn)
        is_first = network.drop_connect and learner.recipe.seed == 1
        if is_first and learner.steps >= 2 * learner.steps_per_epoch:
            raise LearningStopped("the gradient explodes")
        return step(learner, group)

    monkeypatch.setattr(Learner, "step", stopping)
    monkeypatch.setattr(regularisers, "STRENGTHS", {NONE: (0.0,), DROP_CONNECT: (0.2,)})
    monkeypatch.setattr(regularisers, "REGULARISERS", (DROP_CONNECT, EARLY))
    monkeypatch.setattr(regularisers, "LOOKS", 1)
    found = regularisers.EXPERIMENT.run(Trial(Scale(2, 4)))
    lengths = {(each.panel, len(each.x), len(each.y)) for each in found.curves}
    assert lengths == {(NONE, 5, 5), (DROP_CONNECT, 3, 3)}
    assert found.tables[0].seeds_of(DROP_CONNECT, STOPPED) == [2, 4], "epochs"
