import numpy as np
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
from mien.matching.support import identities_for
from tests.matching.test_calibration import vectors_of_people


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(*vectors_of_people(people=30, shots=9, spread=0.2), "fingerprint")


def best_sample(calibration: Calibration) -> Calibration:
    """As if the best sample were calibrated, whatever was."""
    return calibration.model_copy(update={"fusion": "max"})


def test_an_fmr_becomes_its_threshold(calibration: Calibration) -> None:
    decision = decide(TargetFMR(0.05), calibration)
    assert decision.measured == calibration.pictures.at_fmr(0.05)
    assert decision.threshold == calibration.pictures.at_fmr(0.05).threshold
    assert decision.chances == 1


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_subject_of_several_samples_is_decided_by_its_own_curve(
    calibration: Calibration, size: int
) -> None:
    decision = decide(TargetFMR(0.05), calibration, samples_per_subject=size)
    assert decision.curve is not None
    assert decision.curve.samples == size
    assert decision.threshold == decision.curve.at_fmr(0.05).threshold
    assert decision.chances == 1


def test_more_samples_than_were_measured_count_as_more_subjects(calibration: Calibration) -> None:
    decision = decide(TargetFPIR(0.5), best_sample(calibration), 3, samples_per_subject=17)
    assert decision.curve is not None
    assert (decision.curve.samples, decision.chances) == (8, 9)


def test_every_look_of_the_probe_is_another_chance(calibration: Calibration) -> None:
    assert decide(TargetFPIR(0.5), calibration, 3, probes=4).chances == 12


def test_a_rate_needs_a_higher_threshold_the_more_subjects_there_are(
    calibration: Calibration,
) -> None:
    thresholds = [decide(TargetFPIR(0.3), calibration, n).threshold for n in (1, 5, 50)]
    assert thresholds == sorted(set(thresholds))


@pytest.mark.parametrize("subjects", [1, 10, 50])
@pytest.mark.parametrize("samples", [1, 3, 20])
def test_the_rate_that_is_expected_keeps_what_was_asked_for(
    calibration: Calibration, subjects: int, samples: int
) -> None:
    decision = decide(TargetFPIR(0.5), calibration, subjects, samples)
    assert decision.measured is not None
    assert best_of(decision.measured.fmr, decision.chances) <= 0.5


def test_the_rates_of_one_and_of_many_are_each_others_inverse() -> None:
    for chances in (1, 7, 100_000):
        for fpir in (1e-6, 0.01, 0.5):
            assert best_of(one_of(fpir, chances), chances) == pytest.approx(fpir)
    assert best_of(0.01, 10) == pytest.approx(1 - 0.99**10)
    assert best_of(1.0, 3) == 1
    assert best_of(0.5, 0) == 0


def test_a_raw_threshold_is_taken_as_it_is(calibration: Calibration) -> None:
    found = decide(RawThreshold(0.4), calibration, samples_per_subject=2)
    assert found.measured == calibration.curve_for(2).at_threshold(0.4)
    alone = decide(RawThreshold(0.4), None, subjects=3, samples_per_subject=2)
    assert (alone.threshold, alone.measured, alone.chances) == (0.4, None, 6)


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


def test_a_search_of_an_empty_gallery_needs_no_more_than_one_of_one_subject(
    calibration: Calibration,
) -> None:
    empty, one = (decide(TargetFPIR(0.1), calibration, subjects) for subjects in (0, 1))
    assert (empty.threshold, empty.chances) == (one.threshold, 0)


@pytest.mark.parametrize("subjects", [1, 7, 300])
def test_a_rate_beyond_the_data_is_refused_with_the_one_that_it_supports(
    calibration: Calibration, subjects: int
) -> None:
    strictest = best_of(calibration.smallest_supported_fmr, subjects)
    with pytest.raises(UnsupportedOperatingPoint, match=f"supports {strictest:.2g} and above"):
        decide(TargetFPIR(strictest * 0.99), calibration, subjects)
    decide(TargetFPIR(strictest), calibration, subjects)


def test_a_refusal_says_how_many_more_people_it_would_take(calibration: Calibration) -> None:
    """An FMR of 0.001 needs 3,000 pairs: 78 people make 3,003 and 77 only 2,926."""
    with pytest.raises(UnsupportedOperatingPoint, match="48 more held-out identities") as refused:
        decide(TargetFMR(0.001), calibration)
    assert "rule of three on pairs of people" in str(refused.value)
    assert identities_for(one_of(0.1, 1000)) == 240
    with pytest.raises(UnsupportedOperatingPoint, match="210 more held-out identities"):
        decide(TargetFPIR(0.1), calibration, subjects=1000)


def test_people_who_support_nothing_are_not_told_to_ask_for_a_rate_of_1() -> None:
    few = calibrate(np.eye(6, 8, dtype=np.float32), np.arange(6) // 2, "fingerprint")
    with pytest.raises(UnsupportedOperatingPoint, match="3 people supports no rate below 1, by th"):
        decide(TargetFMR(0.1), few)
    with pytest.raises(UnsupportedOperatingPoint, match="; calibrate with 6 more held-out") as told:
        decide(TargetFMR(0.1), few)
    assert "ask for that" not in str(told.value)


@pytest.mark.parametrize("rate", [1e-300, 5e-324])
def test_even_an_absurd_rate_is_refused_in_a_sentence(
    calibration: Calibration, rate: float
) -> None:
    with pytest.raises(UnsupportedOperatingPoint, match="more held-out identities"):
        decide(TargetFMR(rate), calibration)
