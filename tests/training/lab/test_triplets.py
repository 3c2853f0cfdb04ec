"""The experiment on the selection of triplets."""

from collections.abc import Mapping, Sequence

import pytest
import torch

from mien.errors import LearningStopped
from mien_training import mining
from mien_training.batches import Batch
from mien_training.config.losses import BatchHard
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import triplets
from mien_training.lab.experiments.triplets import (
    ACTIVE,
    EER,
    END,
    HARD,
    RANDOM,
    SELECTIONS,
    START,
    STOPPED,
    Recorded,
)
from mien_training.lab.record import Finding, Verdict
from mien_training.learner import Learner
from mien_training.losses.distance import distances
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

NOBODY: Mapping[str, Sequence[str]] = {}


def judged(
    share: tuple[float, float],
    eer: tuple[float, float],
    causes: Mapping[str, Sequence[str]] = NOBODY,
) -> Finding:
    figures = {START: 20.0, END: 2.5, ACTIVE: 1.25, EER: 9.0, STOPPED: 0.0}
    table = made_up.table("Selections", **dict.fromkeys(SELECTIONS, figures))
    comparisons = [
        made_up.comparison(*share, figure=END, first=HARD, second=RANDOM),
        made_up.comparison(0.5, 1.5, figure=ACTIVE, first=HARD, second=RANDOM),
        made_up.comparison(-9, 9, figure=EER, first="semi-hard", second=RANDOM),
        made_up.comparison(*eer, figure=EER, first=HARD, second=RANDOM),
    ]
    return triplets.judge(table, comparisons, causes)


@pytest.mark.parametrize(
    ("share", "eer", "verdict"),
    [
        ((-60, -40), (1, 3), Verdict.REPRODUCED),
        ((-60, -40), (-1, 3), Verdict.INCONCLUSIVE),
        ((-60, 40), (1, 3), Verdict.INCONCLUSIVE),
        ((-60, -40), (-3, -1), Verdict.NOT_REPRODUCED),
        ((40, 60), (1, 3), Verdict.NOT_REPRODUCED),
    ],
)
def test_fewer_losses_and_more_errors_decide(
    share: tuple[float, float], eer: tuple[float, float], verdict: Verdict
) -> None:
    assert judged(share, eer).verdict is verdict


def test_the_finding_tells_both() -> None:
    sentence = judged((-60, -40), (1, 3)).sentence
    assert "20.0 % have a loss in the first fifth of the steps and 2.5 % in the last" in sentence
    assert "leave 1.25 % of all triplets" in sentence
    assert "(+0.50 to +1.50 more)" in sentence
    assert "random less batch-hard +2.0 (+1.0 to +3.0)" in sentence


@pytest.mark.parametrize("setting", [RANDOM, HARD])
def test_nothing_is_decided_where_one_of_the_two_was_stopped(setting: str) -> None:
    found = judged((-60, -40), (1, 3), {setting: ["the embeddings have collapsed: 0 apart"]})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f"stopped 1 of 1 with {setting}, measured as it stood: the emb" in found.sentence
    assert found.sentence.endswith("nothing is decided.")
    assert "20.0 %" not in found.sentence, "shares of other steps are not told beside each other"


def test_another_selection_that_was_stopped_is_told_and_does_not_decide() -> None:
    found = judged((-60, -40), (1, 3), {"batch-all": ["the gradient explodes"], HARD: []})
    assert found.verdict is Verdict.REPRODUCED
    assert found.sentence.endswith(
        "stopped 1 of 1 with batch-all, measured as it stood: the gradient explodes."
    )


def test_the_last_fifth_is_cut_into_equal_pieces() -> None:
    values = [float(step) for step in range(270)]
    pieces = triplets._pieces(values)
    assert pieces == [220, 229, 238, 247, 256, 265], "epochs of nine steps"
    odd = [float(step) for step in range(100)]
    assert list(triplets._last(odd)) == odd[-18:], "20, less what makes no whole pieces"
    assert triplets._pieces([1.0, 3.0]) == [3.0]


@pytest.mark.parametrize("select", [mining.batch_hard, mining.batch_all, mining.random])
def test_what_is_recorded_is_what_a_selector_finds(select: mining.Selector) -> None:
    apart = distances(torch.nn.functional.normalize(torch.randn(12, 4)), squared=True)
    labels = torch.arange(12) // 3
    shares: list[float] = []
    recorded = Recorded(select, shares)
    torch.manual_seed(3)
    found = recorded(apart, labels, 0.2)
    torch.manual_seed(3)
    known = select(apart, labels, 0.2)
    assert torch.equal(found.pull, known.pull)
    assert shares == [known.active / known.selected]
    recorded(apart, torch.zeros_like(labels), 0.2)
    assert shares[1:] == [0], "none, where there is nobody else"


def test_curves_are_smoothed_over_whole_windows() -> None:
    at, means = triplets._smoothed(torch.arange(20.0).numpy().astype(float))
    assert (at, means) == ([9, 18], [4, 13])
    assert triplets._smoothed(torch.ones(3).numpy().astype(float)) == ([1, 2, 3], [1, 1, 1])


@pytest.fixture(scope="module")
def result() -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triplets, "LOOKS", 3)
        return triplets.EXPERIMENT.run(Trial(Scale(seeds=1, epochs=1)))


def test_it_runs_small(result: Result) -> None:
    (table,) = result.tables
    assert list(table.means) == list(SELECTIONS)
    assert len(table.rows) == len(SELECTIONS)
    for setting in ("semi-hard", "batch-all"):
        assert table.means[setting][END] == 100, "they take only what has a loss"
    assert table.means[RANDOM][END] < table.means[HARD][END] < 100
    assert len(result.comparisons) == 1 + len(SELECTIONS)
    assert {figures[STOPPED] for figures in table.means.values()} == {0}
    assert {curve.panel for curve in result.curves} == set(triplets.PANELS)


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


@pytest.fixture(params=[0, 4])
def hard_stops_after(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Diagnose finds something after so many steps with batch-hard; random goes on."""
    after: int = request.param
    step = Learner.step

    def stopping(learner: Learner, group: list[Batch]) -> dict[str, float]:
        triplet = learner.recipe.losses.triplet
        assert triplet is not None
        if isinstance(triplet.selection, BatchHard) and learner.steps >= after:
            raise LearningStopped("the embeddings have collapsed")
        return step(learner, group)

    monkeypatch.setattr(Learner, "step", stopping)
    monkeypatch.setattr(triplets, "SELECTIONS", {name: SELECTIONS[name] for name in (RANDOM, HARD)})
    monkeypatch.setattr(triplets, "LOOKS", 3)
    return after


def test_a_run_that_diagnose_stops_is_reported(hard_stops_after: int) -> None:
    result = triplets.EXPERIMENT.run(Trial(Scale(seeds=1, epochs=1)))
    assert_whole(result)
    (table,) = result.tables
    assert (table.means[HARD][STOPPED], table.means[RANDOM][STOPPED]) == (1, 0)
    assert (END in table.means[HARD]) is (hard_stops_after > 0)
    assert [each.figure for each in result.comparisons] == [EER]
    assert result.finding.verdict is Verdict.INCONCLUSIVE
    assert "with batch-hard, measured as it stood: the embeddings have" in result.finding.sentence
