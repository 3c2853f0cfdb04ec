"""The figures in words, the card that they go into, and the whole program on real pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.model import built_in
from mien.model.bundle import load
from mien.model.manifest import CARD
from mien.report import charts
from model_report import __main__ as program
from model_report import speed
from model_report.card import HOME, USE, card
from model_report.words import rate, share, tables
from tests import bundles

ENDS = [0.01, 0.03]
POINT = {"target_fmr": 0.01, "fmr": 0.01, "fnmr": 0.25, "fnmr_interval95": [0.2, 0.3]}
VERIFIED: dict[str, Any] = {
    "people": 40,
    "pictures": 640,
    "failures_to_acquire": 2,
    "eer": 0.02,
    "eer_interval95": ENDS,
    "smallest_supported_fmr": 0.0038,
    "points": [POINT],
    "det": [
        {"fmr": 0.01, "supported": True, "fnmr": 0.25, "fnmr_interval95": [0.2, 0.3]},
        {"fmr": 1e-4, "supported": False, "fnmr": 0.5, "fnmr_interval95": [0.4, 0.6]},
    ],
    "deployed": POINT | {"fmr_interval95": ENDS},
}  # fmt: skip
THIRD = {"from": 10.0, "to": 20.0, "fnmr": 0.1, "fnmr_interval95": ENDS, "fmr": 0.2,
         "fmr_interval95": ENDS}  # fmt: skip
GROUPS = {"yaw": [THIRD, THIRD, THIRD]}
LFW = {
    "accuracy": 0.925, "accuracy_interval95": [0.91, 0.94], "pairs": 998, "left_out_pairs": 2,
    "thresholds": [0.3], "eer": 0.07, "eer_interval95": ENDS, "groups": GROUPS,
    "at_calibrated_fmr": [
        {"target_fmr": 0.05, "threshold": 0.21, "accuracy": 0.929, "fmr": 0.084, "fnmr": 0.058},
    ],
}  # fmt: skip
SEARCHES = {
    "people": 40, "samples_each": 8, "rank1": 0.97, "rank1_interval95": [0.9, 1.0],
    "points": [
        {"target_fpir": 0.3, "supported": True, "fpir": 0.25, "fpir_interval95": ENDS,
         "fnir": 0.125, "fnir_interval95": ENDS},
        {"target_fpir": 0.01, "supported": False},
    ],
}  # fmt: skip
FIGURES: dict[str, Any] = {
    "bundle": {"fingerprint": "a" * 64, "crop": [64, 64], "dimension": 256, "mirror_image": True,
               "bytes": 5_700_000},
    "held_out": VERIFIED,
    "photos": VERIFIED | {"groups": GROUPS},
    "lfw_view1": LFW,
    "lfw_view1_middle": LFW | {"accuracy": 0.935, "pairs": 1000, "left_out_pairs": 0},
    "lfw_view1_centre": LFW | {"accuracy": 0.8},
    "open_set_photos": SEARCHES,
    "open_set_held_out": SEARCHES,
    "speed": {"threads": 2, "best_batch": 16, "best_crops_a_second": 261.4, "one_crop_ms": 7.25},
}  # fmt: skip


def test_lfw_is_told_at_the_rates_that_are_asked_for() -> None:
    assert "| 5 % | 0.210 | 92.9 % | 8.4 % | 5.8 % |" in tables(FIGURES)


def test_rates_are_per_cent_with_their_ends() -> None:
    assert share(0.0712) == "7.1 %"
    assert rate(0.925, [0.91, 0.94]) == "92.5 % (91.0 to 94.0)"


@pytest.mark.parametrize(
    "told",
    [
        "| LFW View 1, whole pipeline, the largest face | 92.5 % (91.0 to 94.0) of 998 pairs; "
        "92.3 % if the 2 that have a picture without a usable face count as wrong |",
        "| LFW View 1, whole pipeline, the face in the middle | 93.5 % (91.0 to 94.0) of 1,000 ",
        "| LFW View 1, the middle of each picture, no detector | 80.0 % (91.0 to 94.0) of 998",
        "| size | 5.70 MB |",
        "| 64×64, 256 numbers, with mirror image |",
        "| crops a second, 2 threads, batches of 16 | 261 |",
        "| one crop | 7.2 ms |",
        "40 people, 640 pictures, 2 without a usable face. Equal error rate 2.0 % (1.0 to 3.0)",
        "| 1.00 % | 25.0 % (20.0 to 30.0) |",
        "| 0.01 %, not supported | 50.0 % (40.0 to 60.0) |",
        "so many people support an FMR of 0.0038 and above",
        "| photographs: 40 people, 8 pictures each | 97.0 % (90.0 to 100.0) | 30 % | 25.0 %",
        "|  |  | 1 % | not supported by the people held out |  |",
        "| turned away, eye distances | 10 … 20 | 10.0 % (1.0 to 3.0) | 20.00 % (1.00 to 3.00) |",
    ],
)
def test_every_figure_is_in_the_tables(told: str) -> None:
    assert told in tables(FIGURES)


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for block in tables(FIGURES).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_a_card_keeps_what_the_export_wrote_and_is_the_same_again() -> None:
    once = card(
        "# mien-s\n\nLicence of the weights: research only\n\n## Limits\n\nMany.\n", FIGURES
    )
    assert once.startswith(
        "# mien-s\n\nLicence of the weights: research only\n\n## Limits\n\nMany."
    )
    assert card(once, FIGURES) == once
    for title in (
        USE,
        "## Results on other pictures",
        "## Known failures",
        "## How to train a rep",
    ):
        assert once.count(f"\n{title}") == 1
    assert "not for commercial use" in once
    assert (HOME / "failures.md").read_text().strip() in once


def test_installing_keeps_the_fingerprint_and_seals_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_in, "FOLDER", tmp_path / "bundles")
    (tmp_path / "bundles").mkdir()
    source = bundles.calibrated(tmp_path / "source")
    for folder in (source.folder, built_in.FOLDER / "mien-s"):  # again, in its place
        installed = load(program.install(folder, FIGURES))
        assert installed.folder == built_in.find()
        assert installed.manifest.fingerprint == source.manifest.fingerprint
        assert "92.5 %" in (installed.folder / CARD).read_text()
    assert "92.5 %" not in (source.folder / CARD).read_text()


def test_figures_go_between_the_marks_of_the_page_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text(f"before\n{program.BEGIN}\nold\n{program.END}\nafter\n")
    for told in ("new", "newer"):
        program._insert(page, told)
        assert page.read_text() == f"before\n{program.BEGIN}\n\n{told}\n\n{program.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="has no place for the figures"):
        program._insert(page, "new")


def test_the_chart_ends_where_the_tables_do() -> None:
    fmr = np.array([1.0, 1e-2, 1e-4, 1e-6])
    curve = (fmr, np.array([0.0, 0.1, 0.5, 0.9]))
    shown = (fmr[:3], np.array([0.0, 0.1, 0.5]))
    assert program.det({"LFW": curve}) == charts.det_curves({"LFW": shown})
    assert program.det({"LFW": curve}) != charts.det_curves({"LFW": curve})


def test_the_page_of_this_project_has_its_place() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    assert page.count(program.BEGIN) == page.count(program.END) == 1


def test_speed_is_the_best_of_its_batches(tmp_path: Path) -> None:
    told = speed.figures(bundles.uncalibrated(tmp_path / "b"), threads=1)
    rates = told["crops_a_second"]
    assert told["best_crops_a_second"] == max(rates.values()) == rates[str(told["best_batch"])]
    assert set(rates) == {str(size) for size in speed.BATCHES}
    assert told["one_crop_ms"] > 0
