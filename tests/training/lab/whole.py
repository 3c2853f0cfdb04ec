"""What the result of any experiment must be: kept as JSON, named, and readable as a picture."""

from matplotlib.axis import Axis

from mien_training.lab.experiment import Result
from mien_training.lab.record import Comparison, Curve, Finding, Part, Table

SLACK = 0.02
"""Inches, two pixels."""


def assert_whole(result: Result) -> None:
    """Raises AssertionError."""
    _assert_kept(result)
    _assert_comparisons_have_their_numbers(result)
    _assert_readable(result)
    assert result.finding.sentence.endswith(".")
    assert "nan" not in result.finding.sentence


def _assert_kept(result: Result) -> None:
    """As JSON and back: strict, and refuses what is not finite."""
    kinds: tuple[tuple[type[Part], tuple[Part, ...]], ...] = (
        (Table, result.tables),
        (Comparison, result.comparisons),
        (Curve, result.curves),
        (Finding, (result.finding,)),
    )
    for kind, parts in kinds:
        for part in parts:
            assert kind.model_validate_json(part.model_dump_json()) == part


def _assert_comparisons_have_their_numbers(result: Result) -> None:
    """What is compared stands in a table under the same names, with the same means."""
    for each in result.comparisons:
        values = [
            (table.means[each.first][each.figure], table.means[each.second][each.figure])
            for table in result.tables
            if each.figure in table.means.get(each.first, {})
        ]
        assert len(values) == 1, each
        assert abs(values[0][0] - each.first_value) < 1e-3 * max(1, abs(each.first_value)), each
        assert abs(values[0][1] - each.second_value) < 1e-3 * max(1, abs(each.second_value)), each
        assert each.low <= each.high
        assert 0 < each.p_value <= 1


def _assert_readable(result: Result) -> None:
    """Axes are named, and no text reaches beyond the picture's edge."""
    result.figure.draw_without_rendering()
    for axes in filter(lambda each: each.axison, result.figure.axes):  # pictures have none
        assert _is_named(axes.xaxis), axes.get_title()
        assert _is_named(axes.yaxis), axes.get_title()
    box = result.figure.get_tightbbox()  # inches
    width, height = result.figure.get_size_inches()
    assert -SLACK <= box.x0 <= box.x1 <= width + SLACK, box
    assert -SLACK <= box.y0 <= box.y1 <= height + SLACK, box


def _is_named(axis: Axis) -> bool:
    """By its label, or by words at its bars; a picture has no ticks and needs none."""
    ticks = [label.get_text() for label in axis.get_ticklabels()]
    return bool(axis.get_label_text() or not ticks or any(map(_is_a_word, ticks)))


def _is_a_word(tick: str) -> bool:
    return bool(tick.strip("-−.0123456789"))
