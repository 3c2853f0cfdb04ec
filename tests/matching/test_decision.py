import pytest

from mien.errors import InvalidRequest, NotCalibrated, UnsupportedOperatingPoint
from mien.matching.calibration import Calibration, calibrate
from mien.matching.decision import (
    Policy,
    RawThreshold,
    TargetFMR,
    TargetFPIR,
    best_of,
    decide,
    one_of,
)
from tests.matching.test_calibration import vectors_of_people


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(*vectors_of_people(), "fingerprint")


def test_an_fmr_becomes_its_threshold(calibration: Calibration) -> None:
    decision = decide(TargetFMR(0.05), calibration)
    assert decision.threshold == calibration.at_fmr(0.05).threshold
    assert decision.measured == calibration.at_fmr(0.05)


def test_a_rate_needs_a_higher_threshold_the_more_comparisons_there_are(
    calibration: Calibration,
) -> None:
    thresholds = [decide(TargetFPIR(0.3), calibration, n).threshold for n in (1, 5, 50)]
    assert thresholds == sorted(set(thresholds))


@pytest.mark.parametrize("comparisons", [1, 10, 100])
def test_the_rate_that_is_expected_keeps_what_was_asked_for(
    calibration: Calibration, comparisons: int
) -> None:
    decision = decide(TargetFPIR(0.5), calibration, comparisons)
    assert decision.measured is not None
    assert best_of(decision.measured.fmr, comparisons) <= 0.5


def test_the_rates_of_one_and_of_many_are_each_others_inverse() -> None:
    for comparisons in (1, 7, 100_000):
        for fpir in (1e-6, 0.01, 0.5):
            assert best_of(one_of(fpir, comparisons), comparisons) == pytest.approx(fpir)
    assert best_of(0.01, 10) == pytest.approx(1 - 0.99**10)
    assert best_of(1.0, 3) == 1
    assert best_of(0.5, 0) == 0


def test_a_raw_threshold_is_taken_as_it_is(calibration: Calibration) -> None:
    assert decide(RawThreshold(0.4), calibration).measured == calibration.at_threshold(0.4)
    assert decide(RawThreshold(0.4), None).measured is None


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


@pytest.mark.parametrize("comparisons", [1, 7, 300])
def test_a_rate_beyond_the_data_is_refused_with_the_one_that_it_supports(
    calibration: Calibration, comparisons: int
) -> None:
    strictest = best_of(calibration.smallest_supported_fmr, comparisons)
    with pytest.raises(UnsupportedOperatingPoint, match=f"supports {strictest:.2g} and above"):
        decide(TargetFPIR(strictest * 0.99), calibration, comparisons)
    decide(TargetFPIR(strictest), calibration, comparisons)
