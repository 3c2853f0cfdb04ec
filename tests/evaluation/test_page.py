"""The page of a report, without a process."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from mien.errors import OutputExists
from mien.evaluation.contract import Int8Cost, Lfw, Report
from mien.evaluation.evaluate import evaluate
from mien.evaluation.request import Request
from mien.evaluation.summary import points, rate, span, summary, target
from mien.model.bundle import Bundle
from mien.report.evaluation import figures, page, write
from tests.bundles import uncalibrated
from tests.evaluation import made
from tests.faces import folder_of_people


@pytest.fixture(scope="module")
def report(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of everything that a folder gives: groups, another bundle, failures."""
    folder = folder_of_people(tmp_path_factory.mktemp("page") / "people", people=12, shots=4)
    (folder / "person-1" / "0.png").write_bytes(b"rubbish")
    groups = folder.parent / "groups.csv"
    lines = [f"person-{p},{'<north>' if p % 2 else 'south'}" for p in range(12)]
    groups.write_text("person,group\n" + "\n".join(lines))
    other = uncalibrated(folder.parent / "other", seed=1)
    return evaluate(bundle, Request(folder, groups=groups), other)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of the least: pairs, a bundle without calibration."""
    folder = tmp_path_factory.mktemp("bare")
    made.lfw_folder(folder / "images", people=3, shots=2)
    lines = "P-0\t1\t2\nP-1\t1\t2\nP-0\t1\tP-1\t1\nP-1\t2\tP-2\t1\n"
    (folder / "pairs.txt").write_text("2\n" + lines)
    request = Request(folder / "images", pairs=folder / "pairs.txt")
    return evaluate(uncalibrated(folder / "bundle"), request)


def test_every_part_of_a_report_is_on_the_page(report: Report) -> None:
    drawn = figures(report)
    assert set(drawn) == {"similarities", "det", "likelihood", "searches", "gallery_sizes", "cmc",
                          "groups"}  # fmt: skip
    for svg in drawn.values():
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own text
    html = page(report, drawn)
    for heading in ("Verification", "Identification", "Groups", "Against projection-1",
                    "At the deployed threshold", "What a similarity is worth",
                    "What could not be used"):  # fmt: skip
        assert f"<h2>{heading}" in html
    assert "Accuracy on the pairs" not in html
    assert "1 of 48 pictures" in html
    assert "person-1/0.png" in html
    assert "IMAGE_UNDECODABLE" in html
    assert html.count("<svg") == len(drawn)


def test_the_page_needs_nothing_else_and_escapes_names(report: Report) -> None:
    html = page(report, figures(report))
    assert "&lt;north&gt;" in html
    assert "<north>" not in html
    assert "<script" not in html
    for svg in figures(report).values():
        html = html.replace(svg, "")  # which name the namespaces of SVG
    assert "http" not in html


def test_what_was_not_measured_is_said(bare: Report) -> None:
    drawn = figures(bare)
    assert set(drawn) == {"similarities", "det"}
    html = page(bare, drawn)
    assert "Not measured: the bundle is not calibrated" in html
    assert "not supported: needs 30 pairs of people" in html
    for absent in (
        "<h2>Identification",
        "<h2>Groups",
        "<h2>Against",
        "<h2>What a similarity",
        "int8",
        "None",
        "nan",
    ):
        assert absent not in html


INT8: dict[str, Any] = {
    "precision": "int8", "float32_fingerprint": "f" * 64,
    "int8_cost": [Int8Cost(target_fmr=None, float32=0.02, int8=0.03),
                  Int8Cost(target_fmr=0.01, float32=0.2, int8=0.15)],
}  # fmt: skip


def test_the_cost_of_int8_is_on_the_page_and_in_the_table(report: Report) -> None:
    quantised = report.model_copy(update={"bundle": report.bundle.model_copy(update=INT8)})
    html = page(quantised, figures(quantised))
    assert f"<h2>What int8 costs: {report.bundle.name}" in html
    assert "<td>EER</td><td>2.00 %</td><td>3.00 %</td><td>+1.00 points</td>" in html
    assert "<td>FNMR at FMR 1 %</td><td>20.00 %</td><td>15.00 %</td><td>-5.00 points</td>" in html
    assert "evaluate against the float32 bundle" in html
    table = " ".join(summary(quantised).split())
    assert "int8 cost, EER +1.00 points, from 2.00 % to 3.00 % when it was sealed" in table
    assert "int8 cost, FNMR at FMR 1 % -5.00 points" in table
    assert "int8" not in page(report, figures(report)) + summary(report)


def test_against_its_float32_bundle_the_paired_test_is_pointed_at(report: Report) -> None:
    assert report.against is not None
    update = INT8 | {"float32_fingerprint": report.against.bundle.fingerprint}
    quantised = report.model_copy(update={"bundle": report.bundle.model_copy(update=update)})
    html = page(quantised, figures(quantised))
    assert "stands under Against, with a paired test" in html
    assert "evaluate against the float32 bundle" not in html


def test_a_cost_that_the_bundle_does_not_know_is_said(report: Report) -> None:
    update = {"precision": "int8", "float32_fingerprint": None, "int8_cost": None}
    imported = report.model_copy(update={"bundle": report.bundle.model_copy(update=update)})
    html = page(imported, figures(imported))
    assert "Not known: the bundle does not tell what its float32 network did." in html
    assert "None" not in html


def test_the_gallery_counts_people_where_their_mean_counts(report: Report) -> None:
    found = report.identification
    assert found is not None
    for fusion, counted, other in (("max", "pictures", "people"), ("mean", "people", "pictures")):
        update = {"identification": found.model_copy(update={"fusion": fusion})}
        fused = report.model_copy(update=update)
        html = page(fused, figures(fused))
        assert f"<th>{counted} N</th>" in html
        assert f"<th>{other}</th>" in html
        assert f"<!-- enrolled {counted} N -->" in html


def test_two_bundles_of_one_name_are_told_apart(report: Report) -> None:
    assert report.against is not None
    twin = report.against.bundle.model_copy(update={"name": report.bundle.name})
    against = report.against.model_copy(update={"bundle": twin})
    html = page(report.model_copy(update={"against": against}), figures(report))
    assert f"Against {report.bundle.name} ({twin.fingerprint[:8]})" in html
    assert f"<th>{report.bundle.name} ({report.bundle.fingerprint[:8]})</th>" in html


def test_the_same_report_is_the_same_page(report: Report) -> None:
    assert page(report, figures(report)) == page(report, figures(report))


def test_a_folder_is_written_whole_and_never_over_another(report: Report, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "new" / "er"):
        write(report, out)
        names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        assert {"report.html", "report.json", "figures/det.svg"} <= names
        assert Report.model_validate_json((out / "report.json").read_text("utf-8")) == report
    with pytest.raises(OutputExists):
        write(report, tmp_path / "empty")


def test_the_table_tells_the_same(report: Report, bare: Report) -> None:
    table = summary(report)
    assert report.deployed is not None
    assert f"FMR at threshold {report.deployed.threshold:.4f}" in table
    assert rate(report.verification.eer) in table
    assert "rates below are over the rest" in table
    assert "<north>: FNMR" in table
    assert "against projection-1" in table
    assert "the bundle is not calibrated" in summary(bare)
    assert "needs 30 pairs of people, 2 are there" in summary(bare)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.904, "90.40 %"), (0.0123, "1.23 %"),
        (0.00044, "0.044 %"), (0.00000123, "0.00012 %"),
    ],
)  # fmt: skip
def test_rates_are_rounded_for_people(share: float | None, text: str) -> None:
    assert rate(share) == text


def test_targets_are_written_as_they_were_asked_for() -> None:
    assert [target(share) for share in (0.1, 1e-3, 1e-6)] == ["10 %", "0.1 %", "0.0001 %"]
    assert span((0.0, 0.0375)) == "0 % to 3.75 %"
    assert span(None) == ""


def test_the_page_claims_of_the_people_only_what_mien_can_know(report: Report) -> None:
    html = page(report, figures(report))
    assert "had a say" not in html
    assert "taken to hold none of the people" in html
    assert "which mien cannot check" in html


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    shares = (-0.00001, 0.0, 0.00004, -0.0123, 0.5)
    assert [points(share) for share in shares] == ["0.00", "0.00", "0.00", "-1.23", "+50.00"]


def test_a_difference_without_a_test_is_said(report: Report) -> None:
    assert report.against is not None
    untested = [
        row.model_copy(update={"difference_interval95": None, "p_value": None})
        for row in report.against.differences
    ]
    against = report.against.model_copy(update={"differences": untested})
    without = report.model_copy(update={"against": against})
    assert "too few people for an interval" in summary(without)
    assert "too few people</td><td>–</td>" in page(without, figures(without))


def test_the_table_tells_what_was_asked_for_and_promised(report: Report) -> None:
    found = report.deployed
    assert found is not None
    assert found.target_fmr is not None
    table = " ".join(summary(report).split())
    assert f"FMR asked for {target(found.target_fmr)} " in table
    promised = f"{rate(found.expected_fmr)} at most {rate(found.expected_fmr_upper95)}"
    assert f"FMR by the calibration {promised}" in table
    assert report.groups is not None
    ratio = report.groups.fnmr_ratio
    assert ratio is not None
    named = ratio.model_copy(update={"value": 2.0, "low95": 1.0, "high95": 3.0})
    groups = report.groups.model_copy(update={"fnmr_ratio": named})
    table = summary(report.model_copy(update={"groups": groups}))
    assert f"1.00 to 3.00 ({named.worst} by {named.best})" in table


def test_the_second_bundle_is_dashed_and_named_in_the_footer(report: Report) -> None:
    assert report.against is not None
    drawn = figures(report)
    alone = figures(report.model_copy(update={"against": None}))
    assert drawn["det"].count("stroke-dasharray") > alone["det"].count("stroke-dasharray")
    assert f"against model {report.against.bundle.fingerprint[:12]}" in page(report, drawn)


def test_group_rates_beside_pairs_say_that_they_are_over_all_pictures(report: Report) -> None:
    sentence = "over all pictures that the pairs name"
    assert sentence not in page(report, figures(report))
    lfw: dict[str, Any] = {"view": 1, "pairs": 8, "folds": None, "thresholds": [], "accuracy": None,
           "accuracy_interval95": None, "standard_error": None, "fold_accuracies": []}  # fmt: skip
    data = report.data.model_copy(update={"comparisons": "view1"})
    listed = report.model_copy(update={"data": data, "lfw": Lfw.model_validate(lfw)})
    assert sentence in page(listed, figures(listed))
