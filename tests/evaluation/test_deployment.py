import pytest

from mien.errors import InvalidRequest
from mien.evaluation.deployment import TARGETS, deploy, expected_fpir, least_error_threshold
from mien.model.bundle import Bundle


def test_the_strictest_rate_that_is_supported_is_deployed(bundle: Bundle) -> None:
    calibration = bundle.calibration
    assert calibration is not None
    found = deploy(calibration, None)
    assert found is not None
    supported = [rate for rate in TARGETS if rate >= calibration.smallest_supported_fmr]
    assert found.target_fmr == min(supported)
    measured = found.decision.measured
    assert measured is not None
    assert measured.threshold == found.threshold
    assert measured.fmr <= found.target_fmr


def test_a_rate_that_is_not_supported_gives_way_to_the_next(bundle: Bundle) -> None:
    assert bundle.calibration is not None
    found = []
    for smallest in (0.0005, 0.005, 0.05, 0.5):
        pictures = bundle.calibration.pictures.model_copy(
            update={"smallest_supported_fmr": smallest}
        )
        coarse = bundle.calibration.model_copy(update={"curves": [pictures]})
        deployment = deploy(coarse, None)
        found.append(None if deployment is None else deployment.target_fmr)
    assert found == [1e-3, 1e-2, 1e-1, None]


def test_a_threshold_by_hand_needs_no_calibration_and_overrides_it(bundle: Bundle) -> None:
    plain, measured = deploy(None, 0.42), deploy(bundle.calibration, 0.42)
    assert plain is not None
    assert measured is not None
    assert plain.threshold == measured.threshold == 0.42
    assert plain.target_fmr is measured.target_fmr is None
    assert plain.decision.measured is None
    assert measured.decision.measured is not None
    with pytest.raises(InvalidRequest, match="threshold"):
        deploy(None, 1.5)


def test_the_formula_needs_a_calibration(bundle: Bundle) -> None:
    plain, measured = deploy(None, 0.5), deploy(bundle.calibration, 0.5)
    assert plain is not None
    assert measured is not None
    assert expected_fpir(plain, 10, 1) is None
    assert bundle.calibration is not None
    for samples in (1, 2, 40):
        fmr = bundle.calibration.curve_for(samples).at_threshold(0.5).fmr
        chances = 10 * bundle.calibration.chances(samples)
        assert expected_fpir(measured, 10, samples) == pytest.approx(1 - (1 - fmr) ** chances)


def test_the_least_error_is_of_both_kinds_together(bundle: Bundle) -> None:
    assert least_error_threshold(None) is None
    assert bundle.calibration is not None
    threshold = least_error_threshold(bundle.calibration)
    sums = {point.threshold: point.fmr + point.fnmr for point in bundle.calibration.pictures.points}
    assert threshold in sums
    assert all(sums[threshold] <= value for value in sums.values())
