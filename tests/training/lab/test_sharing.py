"""The experiment on shared weights."""

import pytest

from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import sharing
from mien_training.lab.record import Table, Verdict
from tests.training.lab.whole import assert_whole


@pytest.fixture(scope="module")
def result() -> Result:
    return sharing.EXPERIMENT.run(Trial(Scale(1, 0)))


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


def test_formulas_and_counts_agree(result: Result) -> None:
    for table in result.tables[:2]:
        for figures in table.means.values():
            if sharing.COUNTED in figures:
                assert figures[sharing.COUNTED] == figures[sharing.FORMULA]
    assert result.tables[0].means["fully connected"][sharing.COUNTED] == 1000**4


def test_the_courses_small_picture_has_16_places() -> None:
    assert sharing.by_formula(6, 1, 3, units=4 * 4) == {
        sharing.FULL: 36 * 16,
        sharing.LOCAL: 16 * 9,
        sharing.SHARED: 9,
    }


def test_it_reproduces(result: Result) -> None:
    assert result.finding.verdict is Verdict.REPRODUCED
    assert "10,000 weights" in result.finding.sentence


def changed(table: Table, setting: str, **figures: float) -> Table:
    means = {**table.means, setting: {**table.means[setting], **figures}}
    return table.model_copy(update={"means": means})


def test_another_count_is_told(result: Result) -> None:
    large, small, ours = result.tables
    other = changed(large, sharing.SHARED, **{sharing.COUNTED: 10_100.0})
    assert sharing.judge(other, small, ours).verdict is Verdict.NOT_REPRODUCED
    grown = changed(ours, "224 px", **{sharing.CONVOLUTIONS: 1e6})
    assert sharing.judge(large, small, grown).verdict is Verdict.NOT_REPRODUCED
