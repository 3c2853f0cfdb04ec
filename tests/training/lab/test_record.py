"""Tables, curves and what a result refuses."""

import math

import pytest
from pydantic import ValidationError

from mien_training.lab.page import shown
from mien_training.lab.record import Curve, Finding, Record, Row, Table, Verdict

ROWS = (
    Row(setting="a", seed=1, figures={"error (%)": 1.0, "steps": 5.0}),
    Row(setting="a", seed=2, figures={"error (%)": 4.0}),
    Row(setting="b", seed=1, figures={"seconds": 2.0}),
)


def test_means_are_over_the_seeds_that_have_the_figure() -> None:
    table = Table.of("A table", ROWS)
    assert table.means == {"a": {"error (%)": 2.5, "steps": 5.0}, "b": {"seconds": 2.0}}
    assert table.figures == ("error (%)", "steps", "seconds")
    assert table.seeds_of("a", "error (%)") == [1, 4]
    assert table.seeds_of("b", "error (%)") == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        Row(setting="a", seed=1, figures={"loss": value})
    with pytest.raises(ValidationError):
        Curve.of("loss", "a", [1], [value])


def test_a_curve_keeps_six_digits() -> None:
    curve = Curve.of("loss", "a", [1, 2], [1 / 3, 123456789.0])
    assert curve.y == (0.333333, 123457000.0)


def test_a_result_of_another_shape_is_refused() -> None:
    with pytest.raises(ValidationError):
        Record.read(b"{}")
    with pytest.raises(ValidationError):
        Record.read(b"no JSON")


def test_a_verdict_is_one_of_three() -> None:
    assert {str(each) for each in Verdict} == {"reproduced", "not reproduced", "inconclusive"}
    with pytest.raises(ValidationError):
        Finding.model_validate_json('{"verdict": "perhaps", "sentence": "It is."}')


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (3.0, "3"),
        (38002.0, "38,002"),
        (0.0019980, "0.001998"),
        (12.3456, "12.35"),
        (-1e12, "-1,000,000,000,000"),
        (1e21, "1e+21"),
    ],
)
def test_numbers_are_for_people(value: float | None, text: str) -> None:
    assert shown(value) == text
