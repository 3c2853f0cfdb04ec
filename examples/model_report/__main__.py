"""Measure a bundle for its model card and docs/models.md: `make model-report BUNDLE=…`."""

import argparse
import json
import shutil
from pathlib import Path

from mien.matching.metrics import Rates
from mien.model import built_in, sealing
from mien.model.bundle import load
from mien.model.manifest import CARD
from mien.report import charts
from mien.vision import detector_file
from mien.vision.yunet import YuNet
from model_report.card import card
from model_report.figures import CURVE, DET, Report
from model_report.words import tables

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- figures: made by `make model-report` -->", "<!-- end of figures -->"
CHART = "mien-s-det.svg"
CURVES = {
    "people held out, aligned crops": "held_out",
    "other people, whole photographs": "photos",
    "LFW View 1": "lfw_view1",
}
"""Which parts of the figures the chart shows, by what it calls them."""


def main() -> None:
    asked = _arguments()
    bundle = load(built_in.find(asked.bundle))
    if bundle.calibration is None:
        raise SystemExit(f"{bundle.folder} is not calibrated; export it with people held out")
    detector = YuNet(detector_file.find(asked.detector_model))
    report = Report(bundle, bundle.calibration, asked.data, detector, asked.threads)
    found = report.figures()
    hardest = found["lfw_view1"].pop("hardest")  # names of people: to be looked at, not written
    for kind, pairs in hardest.items():
        print(f"{kind}, the hardest first:", *pairs[: asked.pairs], sep="\n  ")
    drawn = {title: found[part].pop(CURVE) for title, part in CURVES.items()}
    (asked.docs / CHART).write_text(det(drawn))
    found["machine"] = {"threads": asked.threads, "detector": detector.digest}
    (asked.docs / "models.json").write_text(json.dumps(found, indent=2) + "\n")
    _insert(
        asked.docs / "models.md",
        f"{tables(found)}\n\n![DET curves down to an FMR of 0.01 %]({CHART})",
    )
    print(tables(found))
    if asked.install:
        folder = install(bundle.folder, found)
        print(f"installed {folder}")


def det(curves: dict[str, tuple[Rates, Rates]]) -> str:
    """The DET curves as SVG, down to the smallest FMR that the tables tell."""
    return charts.det_curves(
        {
            title: (fmr[fmr >= DET[-1]], fnmr[fmr >= DET[-1]])
            for title, (fmr, fnmr) in curves.items()
        }
    )


def install(source: Path, found: dict[str, object]) -> Path:
    """Put a bundle where the built-in one lies, with a card of these figures."""
    folder = built_in.FOLDER / built_in.DEFAULT
    if source.resolve() != folder.resolve():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
    sealing.describe(load(folder), card((folder / CARD).read_text(), found))
    return folder


def _insert(page: Path, told: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page} has no place for the figures, between {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{told}\n\n{END}{after}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="model_report", description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?", default=None)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--detector-model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=12, help="hardest pairs of LFW to name")
    parser.add_argument("--install", action="store_true", help="make it the built-in bundle")
    return parser.parse_args()


if __name__ == "__main__":
    main()
