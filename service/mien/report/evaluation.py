"""An evaluation as a page with its figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mien.evaluation.contract import Curve, Report
from mien.evaluation.summary import rate, span, target
from mien.matching.metrics import Rates
from mien.model.bundle import staged
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
            np.array(shown.edges),
            np.array(shown.genuine),
            np.array(shown.impostor),
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
        target=target,
        shown_failures=SHOWN_FAILURES,
    )


def write(report: Report, out: Path) -> None:
    """`report.html`, `report.json` and `figures/*.svg` in a new or empty folder, all or nothing.

    Raises OutputExists if there is something in it.
    """
    drawn = figures(report)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    with staged(out) as staging:
        (staging / "figures").mkdir(parents=True)
        for name, svg in drawn.items():
            (staging / "figures" / f"{name}.svg").write_text(svg, encoding="utf-8")
        (staging / "report.json").write_text(report.model_dump_json(indent=2) + "\n", "utf-8")
        (staging / "report.html").write_text(page(report, drawn), "utf-8")


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
