"""The model card tells what was measured, and nothing else."""

import re

from mien.matching.calibration import Calibration, calibrate
from mien.model.card import LIMITS, RATES, Card, operating_points, supported
from mien.model.cost import Cost
from tests.matching.test_calibration import vectors_of_people


def calibration() -> Calibration:
    return calibrate(*vectors_of_people(), "fingerprint")


def test_a_card_names_licence_data_results_and_limits() -> None:
    measured = calibration()
    text = Card("faces", "CC0-1.0", ["From a folder."], measured, notes=["Not for doors."]).text()
    assert text.startswith(
        "# faces\n\nLicence of the weights: CC0-1.0\n\n## Data\n\nFrom a folder."
    )
    assert re.findall(r"^## (.*)$", text, re.M) == ["Data", "Results", "Limits"]
    assert f"{measured.identities} people whom the network never learned from" in text
    assert all(limit in text for limit in (*LIMITS, "Not for doors."))


def test_every_supported_rate_has_a_row_with_what_the_curve_says() -> None:
    measured = calibration()
    text = Card("faces", "CC0-1.0", [], measured).text()
    rows = re.findall(r"^\| ([0-9.e-]+) \| ([0-9.-]+) \|", text, re.M)
    points = [each for curve in measured.curves for each in operating_points(curve)]
    assert [rate for rate, _ in rows] == [f"{rate:.2g}" for rate, _ in points]
    assert [threshold for _, threshold in rows] == [f"{p.threshold:.4f}" for _, p in points]
    assert all(point.fmr <= rate for rate, point in points)


def test_the_last_row_is_the_smallest_rate_that_is_supported() -> None:
    measured = calibration()
    rates = supported(measured.pictures)
    assert rates[-1] == measured.smallest_supported_fmr
    assert rates == sorted(rates, reverse=True)
    assert set(rates[:-1]) == {rate for rate in RATES if rate > measured.smallest_supported_fmr}


def test_what_was_not_measured_has_no_numbers() -> None:
    text = Card("faces", "CC0-1.0", []).text()
    assert "Not measured" in text
    assert "|" not in text


def test_the_cost_of_int8_is_told_with_its_sign() -> None:
    costs = (Cost(None, 0.02, 0.03), Cost(0.01, 0.2, 0.15))
    text = Card("faces", "CC0-1.0", [], calibration(), costs=costs).text()
    assert "| EER | 0.0200 | 0.0300 | +0.0100 |" in text
    assert "| FNMR at an FMR of 0.01 | 0.2000 | 0.1500 | -0.0500 |" in text


def test_a_card_says_what_the_smallest_supported_rate_assumes() -> None:
    text = Card(name="n", license="MIT", data=[]).text()
    assert "assumes that no few people cause the false matches" in text
    assert "rely on the upper ends of the intervals" in text
