"""An evaluation as a page with its figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mien.evaluation.contract import EvaluatedBundle, Report
from mien.evaluation.summary import measured_on, other_name, points, rate, span, target
from mien.files import staged
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
            np.array(shown.edges),
            np.array(shown.genuine),
            np.array(shown.impostor),
            _threshold(report),
        ),
        "det": charts.det_curves(_curves(report)),
    }
    if report.likelihood is not None:
        drawn["likelihood"] = rates.likelihood(report.likelihood)
    if report.identification is not None:
        search = report.identification
        drawn["searches"] = rates.searches(search.by_threshold, _threshold(report))
        drawn["cmc"] = rates.cmc(search.cmc, search.cmc_interval95)
        if search.by_gallery_size:
            drawn["gallery_sizes"] = rates.gallery_sizes(search.by_gallery_size, search.fusion)
    if report.groups is not None:
        drawn["groups"] = rates.groups(report.groups.groups)
    return drawn


def page(report: Report, drawn: Mapping[str, str]) -> str:
    """`report.html`: all of a report, its figures in it."""
    return render(
        TEMPLATE,
        title=f"mien: {report.bundle.name} on {measured_on(report)}",
        title_data=measured_on(report),
        report=report,
        figures=drawn,
        rate=rate,
        span=span,
        target=target,
        points=points,
        names=_names(report),
        in_int8=_in_int8(report),
        against_origin=_against_origin(report),
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
    found = [report.verification, *([report.against.verification] if report.against else [])]
    return {
        f"{name} (EER {one.eer:.1%})": (np.array(one.det.fmr), np.array(one.det.fnmr))
        for name, one in zip(_names(report), found, strict=True)
    }


def _in_int8(report: Report) -> list[tuple[str, EvaluatedBundle]]:
    """The bundles that compute in int8, by the names that tell them apart."""
    bundles = [report.bundle, *([report.against.bundle] if report.against else [])]
    pairs = zip(_names(report), bundles, strict=True)
    return [(name, bundle) for name, bundle in pairs if bundle.precision == "int8"]


def _against_origin(report: Report) -> bool:
    """One of the two bundles is the float32 one that the other was quantised from."""
    if report.against is None:
        return False
    one, other = report.bundle, report.against.bundle
    return one.float32_fingerprint == other.fingerprint or (
        other.float32_fingerprint == one.fingerprint
    )


def _names(report: Report) -> list[str]:
    """Of the bundles, told apart by their fingerprints if both have one name."""
    if report.against is None:
        return [report.bundle.name]
    if report.against.middle is not None or report.against.bundle.name != report.bundle.name:
        return [report.bundle.name, other_name(report.against)]
    bundles = (report.bundle, report.against.bundle)
    return [f"{bundle.name} ({bundle.fingerprint[:8]})" for bundle in bundles]
