"""The check of any experiment's result notices what it is for."""

from dataclasses import replace

import pytest

from mien_training.lab import figure
from mien_training.lab.experiment import Result, Trial
from mien_training.lab.record import Finding, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


@pytest.fixture
def good() -> Result:
    made = made_up.run(Trial(made_up.EXPERIMENT.quick))
    drawn, (axes,) = figure.grid(2.0)
    axes.set(xlabel="steps", ylabel="loss")
    errors = made.tables[0].means
    first, second = (errors[name]["error (%)"] for name in ("a", "b"))
    same = made.comparisons[0].model_copy(
        update={"first_value": first, "second_value": second, "difference": second - first}
    )
    finding = Finding(verdict=Verdict.REPRODUCED, sentence="It fell.")
    return replace(made, comparisons=(same,), finding=finding, figure=drawn)


def test_a_whole_result_passes(good: Result) -> None:
    assert_whole(good)


def test_a_number_that_no_table_has_is_noticed(good: Result) -> None:
    other = good.comparisons[0].model_copy(update={"second_value": 99.0})
    with pytest.raises(AssertionError):
        assert_whole(replace(good, comparisons=(other,)))
    unknown = good.comparisons[0].model_copy(update={"second": "c"})
    with pytest.raises(KeyError, match="c"):
        assert_whole(replace(good, comparisons=(unknown,)))


def test_an_axis_without_a_name_is_noticed(good: Result) -> None:
    good.figure.axes[0].set_ylabel("")
    with pytest.raises(AssertionError):
        assert_whole(good)


def test_clipped_text_is_noticed(good: Result) -> None:
    good.figure.text(0.95, 0.5, "far beyond the edge")
    with pytest.raises(AssertionError):
        assert_whole(good)


@pytest.mark.parametrize("sentence", ["It fell", "It fell to nan."])
def test_a_sentence_without_an_end_or_a_number_is_noticed(good: Result, sentence: str) -> None:
    finding = Finding(verdict=Verdict.REPRODUCED, sentence=sentence)
    with pytest.raises(AssertionError):
        assert_whole(replace(good, finding=finding))
