import pytest

from mien.errors import InvalidRequest, NotCalibrated, UnsupportedOperatingPoint
from mien.matching.calibration import Calibration, calibrate
from mien.matching.decision import (
    Policy,
    RawThreshold,
    TargetFMR,
    TargetFPIR,
    decide,
    fmr_for,
    fpir_at,
)
from tests.matching.test_calibration import vectors_of_people


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(*vectors_of_people(), "fingerprint")


def test_an_fmr_becomes_its_threshold(calibration: Calibration) -> None:
    decision = decide(TargetFMR(0.05), calibration)
    assert decision.threshold == calibration.at_fmr(0.05).threshold
    assert decision.measured == calibration.at_fmr(0.05)


def test_an_fpir_needs_a_higher_threshold_the_more_are_enrolled(calibration: Calibration) -> None:
    thresholds = [decide(TargetFPIR(0.3), calibration, n).threshold for n in (1, 5, 50)]
    assert thresholds == sorted(set(thresholds))


@pytest.mark.parametrize("enrolled", [1, 10, 100])
def test_the_fpir_that_is_expected_keeps_what_was_asked_for(
    calibration: Calibration, enrolled: int
) -> None:
    decision = decide(TargetFPIR(0.5), calibration, enrolled)
    assert decision.fpir is not None
    assert decision.fpir <= 0.5


def test_fpir_and_fmr_are_each_others_inverse() -> None:
    for enrolled in (1, 7, 100_000):
        for fpir in (1e-6, 0.01, 0.5):
            assert fpir_at(fmr_for(fpir, enrolled), enrolled) == pytest.approx(fpir)
    assert fpir_at(0.01, 10) == pytest.approx(1 - 0.99**10)
    assert fpir_at(1.0, 3) == 1
    assert fpir_at(0.5, 0) == 0


def test_a_raw_threshold_is_taken_as_it_is(calibration: Calibration) -> None:
    assert decide(RawThreshold(0.4), calibration).measured == calibration.at_threshold(0.4)
    uncalibrated = decide(RawThreshold(0.4), None)
    assert uncalibrated.measured is None
    assert uncalibrated.fpir is None


def test_a_similarity_at_the_threshold_is_accepted() -> None:
    assert decide(RawThreshold(0.5), None).accepts(0.5)
    assert not decide(RawThreshold(0.5), None).accepts(0.4999)


@pytest.mark.parametrize(
    "policy",
    [TargetFMR(0), TargetFMR(1), TargetFPIR(-0.1), TargetFMR(float("nan")), RawThreshold(1.5)],
)
def test_rates_and_thresholds_out_of_range_are_refused(
    calibration: Calibration, policy: Policy
) -> None:
    with pytest.raises(InvalidRequest, match=r"is in [\[(]"):
        decide(policy, calibration)


def test_a_rate_without_a_calibration_is_refused() -> None:
    with pytest.raises(NotCalibrated, match="raw threshold"):
        decide(TargetFMR(0.01), None)


def test_an_fpir_that_is_too_small_for_the_gallery_is_refused(calibration: Calibration) -> None:
    with pytest.raises(UnsupportedOperatingPoint):
        decide(TargetFPIR(0.01), calibration, 100_000)
