"""From intervals to a verdict."""

import pytest

from mien_training.lab.record import Verdict
from mien_training.lab.verdict import every, holds, is_larger, is_smaller
from tests.training.lab.made_up import comparison

YES, NO, OPEN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("low", "high", "smaller", "larger"),
    [
        (-2, -1, YES, NO),
        (1, 2, NO, YES),
        (-1, 1, OPEN, OPEN),
        (0, 1, OPEN, OPEN),
        (0, 0, OPEN, OPEN),
    ],
)
def test_an_interval_on_one_side_of_0_decides(
    low: float, high: float, smaller: Verdict, larger: Verdict
) -> None:
    assert is_smaller(comparison(low, high)) is smaller
    assert is_larger(comparison(low, high)) is larger


@pytest.mark.parametrize(
    ("parts", "whole"),
    [([YES, YES], YES), ([YES, OPEN], OPEN), ([OPEN, NO, YES], NO), ([], YES)],
)
def test_a_claim_of_several_parts_is_as_bad_as_its_worst(
    parts: list[Verdict], whole: Verdict
) -> None:
    assert every(parts) is whole


def test_what_is_counted_holds_or_not() -> None:
    assert (holds(True), holds(False)) == (YES, NO)
