"""Charts of rates: SVG, the same each time, whatever is missing."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from mien.evaluation.contract import GallerySize, Group, Likelihood, SearchPoint
from mien.report import rates
from mien.report.charts import GREY


def point(threshold: float, rate: float) -> SearchPoint:
    return SearchPoint(
        threshold=threshold,
        fpir=rate,
        fpir_interval95=(rate / 2, min(1.0, rate * 2)),
        fnir=1 - rate,
        fnir_interval95=(1 - min(1.0, rate * 2), 1 - rate / 2),
    )


def size(people: int, expected: float | None) -> GallerySize:
    return GallerySize(
        people=people,
        samples=2 * people,
        fpir=0.01 * people,
        fpir_interval95=(0.0, 0.02 * people),
        predicted_fpir=0.011 * people,
        expected_fpir=expected,
        fnir=0.1,
        fnir_interval95=(0.05, 0.2),
    )


def group(name: str, fmr: float | None, fnmr: float | None) -> Group:
    return Group(
        group=name,
        people=3,
        pictures=9,
        genuine_comparisons=9,
        impostor_comparisons=27,
        fmr=fmr,
        fmr_interval95=None if fmr is None else (0.0, 0.3),
        fnmr=fnmr,
        fnmr_interval95=None if fnmr is None else (0.0, 0.3),
    )


POINTS = [point(0.1 * step, 1 - 0.1 * step) for step in range(11)]


@pytest.mark.parametrize(
    "chart",
    [
        lambda: rates.searches(POINTS, 0.5),
        lambda: rates.searches(POINTS, None),
        lambda: rates.gallery_sizes([size(1, 0.01), size(2, 0.02)], "max"),
        lambda: rates.gallery_sizes([size(1, None)], "mean"),
        lambda: rates.likelihood(
            Likelihood(thresholds=[-1.0, 0.5], by_calibration=[-1.0, 1.0], here=[0.0, 2.0])
        ),
        lambda: rates.cmc([0.9, 1.0], [(0.8, 1.0), (0.9, 1.0)]),
        lambda: rates.cmc([1.0], [(0.0, 1.0)]),
        lambda: rates.groups([group("north", 0.1, 0.2), group("$\\south & <east>$", None, 0.0)]),
        lambda: rates.groups([group("nobody", None, None)]),
    ],
)
def test_a_chart_is_svg_and_the_same_each_time(chart: Callable[[], str]) -> None:
    svg = chart()
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own text
    assert svg == chart()


def test_the_formula_of_the_calibration_is_drawn_where_there_is_one() -> None:
    with_it = rates.gallery_sizes([size(1, 0.01), size(2, 0.02)], "max")
    without = rates.gallery_sizes([size(1, None), size(2, None)], "max")
    assert GREY.lower() in with_it
    assert GREY.lower() not in without


def test_more_groups_than_can_be_seen_are_not_drawn() -> None:
    many = [group(f"g{n:03}", 0.1, 0.1) for n in range(rates.GROUP_LIMIT + 30)]
    assert rates.groups(many) == rates.groups(many[: rates.GROUP_LIMIT])
