import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError

from mien.matching.metrics import Comparisons
from mien.report import charts
from mien.report.page import data_uri, render
from tests.faces import picture

RANDOM = np.random.default_rng(0)
OVERLAPPING = Comparisons(
    RANDOM.normal(0.6, 0.2, 200).astype(np.float32), RANDOM.normal(0, 0.2, 900).astype(np.float32)
)
SEPARATED = Comparisons(np.array([0.9, 0.8], np.float32), np.array([0.1, 0.0], np.float32))


@pytest.mark.parametrize(
    "chart",
    [
        lambda: charts.histogram(OVERLAPPING, 0.3),
        lambda: charts.histogram(SEPARATED, 0.5),
        lambda: charts.det({"one": OVERLAPPING, "other": SEPARATED}),
        lambda: charts.bars(["one", "other"], [0.1, 0.2], "rate"),
        lambda: charts.bars(["perfect"], [0.0], "rate"),
        lambda: charts.seconds({"fit": 3.0, "query": 0.5}),
    ],
)
def test_a_chart_is_svg_and_the_same_each_time(chart: Callable[[], str]) -> None:
    svg = chart()
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own text
    assert svg == chart()


def test_a_page_escapes_text_and_refuses_to_leave_a_gap(tmp_path: Path) -> None:
    template = tmp_path / "t.html"
    template.write_text(
        '{% extends "base.html" %}{% block body %}{{ name }}{{ rate|percent }}{% endblock %}'
    )
    page = render(template, title="t", name="<script>", rate=0.125)
    assert "&lt;script&gt;12.5 %" in page
    with pytest.raises(UndefinedError, match="name"):
        render(template, title="t", rate=0.5)


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    template = tmp_path / "t.html"
    template.write_text(
        '{% extends "base.html" %}{% block body %}<img src="{{ i }}">{% endblock %}'
    )
    page = render(template, title="t", i=data_uri(picture(1, 1)))
    assert "http" not in page.replace("http-equiv", "")
    assert "data:image/png;base64," in page
