"""The experiment on the selection of triplets."""

import pytest
import torch

from mien_training import mining
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
from mien_training.losses.distance import distances
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


def judged(share: tuple[float, float], eer: tuple[float, float]) -> Finding:
    figures = {START: 20.0, END: 2.5, ACTIVE: 1.25, EER: 9.0}
    table = made_up.table("Selections", **dict.fromkeys(SELECTIONS, figures))
    comparisons = [
        made_up.comparison(*share, figure=END, first=HARD, second=RANDOM),
        made_up.comparison(0.5, 1.5, figure=ACTIVE, first=HARD, second=RANDOM),
        made_up.comparison(-9, 9, figure=EER, first="semi-hard", second=RANDOM),
        made_up.comparison(*eer, figure=EER, first=HARD, second=RANDOM),
    ]
    return triplets.judge(table, comparisons)


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
    return triplets.EXPERIMENT.run(Trial(Scale(seeds=2, epochs=2)))


def test_it_runs_small(result: Result) -> None:
    (table,) = result.tables
    assert list(table.means) == list(SELECTIONS)
    assert len(table.rows) == 2 * len(SELECTIONS)
    for setting in ("semi-hard", "batch-all"):
        assert table.means[setting][END] == 100, "they take only what has a loss"
    assert table.means[RANDOM][END] < table.means[HARD][END] < 100
    assert len(result.comparisons) == 1 + len(SELECTIONS)
    assert {figures[STOPPED] for figures in table.means.values()} == {0}
    assert {curve.panel for curve in result.curves} == set(triplets.PANELS)


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
