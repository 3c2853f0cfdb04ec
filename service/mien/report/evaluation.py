"""An evaluation as a page with its figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mien.evaluation.contract import Curve, Interval, Report
from mien.matching.metrics import Rates
from mien.report import charts, rates
from mien.report.page import render

TEMPLATE = Path(__file__).with_name("evaluation.html")

SHOWN_FAILURES = 20


def figures(report: Report) -> dict[str, str]:
    """The charts of a report as SVG text, by file name without a suffix."""
    found = report.verification
    shown = found.similarities
    drawn = {
        "similarities": charts.densities(
            *map(np.array, (shown.edges, shown.genuine, shown.impostor)),
            _threshold(report),
        ),
        "det": charts.det_curves(_curves(report)),
    }
    if report.identification is not None:
        search = report.identification
        drawn["searches"] = rates.searches(search.by_threshold, _threshold(report))
        drawn["cmc"] = rates.cmc(search.cmc, search.cmc_interval95)
        if search.by_gallery_size:
            drawn["gallery_sizes"] = rates.gallery_sizes(search.by_gallery_size)
    if report.groups is not None:
        drawn["groups"] = rates.groups(report.groups.groups)
    return drawn


def page(report: Report, drawn: Mapping[str, str]) -> str:
    """`report.html`: all of a report, its figures in it."""
    return render(
        TEMPLATE,
        title=f"mien: {report.bundle.name} on {report.data.name}",
        report=report,
        figures=drawn,
        rate=rate,
        span=span,
        shown_failures=SHOWN_FAILURES,
    )


def rate(share: float | None) -> str:
    """A rate in [0, 1] for people: percent with two significant digits, and at most 2 decimals."""
    if share is None:
        return "–"
    percent = 100 * share
    if percent == 0 or percent >= 10:
        return f"{percent:.1f} %"
    return f"{percent:.2f} %" if percent >= 0.1 else f"{percent:.2g} %"


def span(interval: Interval | None) -> str:
    """An interval for people; empty where there is none."""
    return "" if interval is None else f"{rate(interval[0])} to {rate(interval[1])}"


def _threshold(report: Report) -> float | None:
    return None if report.deployed is None else report.deployed.threshold


def _curves(report: Report) -> dict[str, tuple[Rates, Rates]]:
    curves = {_label(report.bundle.name, report.verification.eer): _points(report.verification.det)}
    if report.against is not None:
        other = report.against
        name = other.bundle.name
        if name == report.bundle.name:
            name = f"{name} {other.bundle.fingerprint[:8]}"
        curves[_label(name, other.verification.eer)] = _points(other.verification.det)
    return curves


def _label(name: str, eer: float) -> str:
    return f"{name} (EER {eer:.1%})"


def _points(curve: Curve) -> tuple[Rates, Rates]:
    return np.array(curve.fmr), np.array(curve.fnmr)
