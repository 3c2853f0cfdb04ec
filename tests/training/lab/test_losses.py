"""The experiment on losses."""

import numpy as np
import pytest

from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import losses
from mien_training.lab.experiments.losses import BETWEEN, EER, SETTINGS, SOFTMAX, WITHIN
from mien_training.lab.record import Finding, Verdict
from mien_training.lab.verification import Verified
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

OTHERS = [setting for setting in SETTINGS if setting != SOFTMAX]


def judged(**changed: tuple[float, float]) -> Finding:
    """All others are better than softmax, but for those whose interval is given."""
    table = made_up.table(
        "People", **{setting: {EER: 9.5 - number} for number, setting in enumerate(SETTINGS)}
    )
    intervals = dict.fromkeys(OTHERS, (-2.0, -1.0)) | changed
    comparisons = [
        made_up.comparison(*interval, first=SOFTMAX, second=setting)
        for setting, interval in intervals.items()
    ]
    return losses.judge(table, comparisons)


def test_it_is_reproduced_where_all_others_are_better() -> None:
    found = judged()
    assert found.verdict is Verdict.REPRODUCED
    assert f"By more than chance better than softmax: {', '.join(OTHERS)}." in found.sentence
    assert "None is worse than softmax by more than chance." in found.sentence


def test_one_that_is_worse_decides() -> None:
    found = judged(ArcFace=(0.5, 2.0))
    assert found.verdict is Verdict.NOT_REPRODUCED
    assert "By more than chance worse than softmax: ArcFace." in found.sentence


def test_one_that_may_be_chance_leaves_it_open() -> None:
    assert judged(CosFace=(-2.0, 0.1)).verdict is Verdict.INCONCLUSIVE


def test_rates_are_told_from_the_best_on() -> None:
    assert "per cent: CosFace 2.5; ArcFace 3.5; " in judged().sentence
    assert "; softmax 9.5. " in judged().sentence


@pytest.fixture(scope="module")
def result() -> Result:
    return losses.EXPERIMENT.run(Trial(Scale(seeds=1, epochs=1)))


def test_it_runs_small(result: Result) -> None:
    (table,) = result.tables
    assert list(table.means) == list(SETTINGS)
    assert [each.second for each in result.comparisons] == OTHERS
    assert {each.resampled for each in result.comparisons} == {"10 people"}
    for figures in table.means.values():
        assert 0 < figures[EER] < 50
        assert 0 < figures[WITHIN] < figures[BETWEEN] < 2


def test_distances_are_those_of_every_two_pictures() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = np.repeat(np.arange(3), 3)
    within: list[float] = []
    between: list[float] = []
    for one in range(9):
        for other in range(one + 1, 9):
            same = people[one] == people[other]
            distance = float(np.linalg.norm(vectors[one] - vectors[other]))
            (within if same else between).append(distance)
    found = losses._figures(Verified.of(vectors, people))
    assert found[WITHIN] == pytest.approx(np.mean(within), abs=1e-5)
    assert found[BETWEEN] == pytest.approx(np.mean(between), abs=1e-5)


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
