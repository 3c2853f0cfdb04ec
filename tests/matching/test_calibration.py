from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mien.matching.calibration import Calibration, _fmr_upper95, calibrate
from mien.matching.metrics import Vectors, cross_compare

PEOPLE, SHOTS = 12, 5


def vectors_of_people(seed: int = 0, spread: float = 0.15) -> tuple[Vectors, np.ndarray]:
    random = np.random.default_rng(seed)
    looks = np.repeat(random.normal(size=(PEOPLE, 8)), SHOTS, axis=0)
    raw = looks + random.normal(0, spread * 8, looks.shape)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(PEOPLE), SHOTS)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(*vectors_of_people(), "fingerprint")


def test_it_counts_what_it_was_measured_on(calibration: Calibration) -> None:
    images = PEOPLE * SHOTS
    genuine = PEOPLE * SHOTS * (SHOTS - 1) // 2
    assert calibration.identities == PEOPLE
    assert calibration.genuine_comparisons == genuine
    assert calibration.impostor_comparisons == images * (images - 1) // 2 - genuine
    assert calibration.smallest_supported_fmr == 3 / calibration.impostor_comparisons


@pytest.mark.parametrize("fmr", [0.9, 0.5, 0.1, 0.03, 0.01, 0.002])
def test_a_rate_that_is_asked_for_is_kept_on_the_data_it_was_measured_on(
    calibration: Calibration, fmr: float
) -> None:
    comparisons = cross_compare(*vectors_of_people())
    point = calibration.at_fmr(fmr)
    assert point.fmr <= fmr
    assert point.fmr == comparisons.fmr(point.threshold)
    assert point.fnmr == comparisons.fnmr(point.threshold)


def test_little_is_given_away_between_the_points_of_the_curve(calibration: Calibration) -> None:
    for fmr in (0.5, 0.1, 0.03):
        assert calibration.at_fmr(fmr).fmr > 0.8 * fmr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields["curve"].reverse(), "not in order of threshold"),
        (lambda fields: fields.update(curve=fields["curve"][:1]), "ends before the smallest FMR"),
        (lambda fields: fields["curve"][0].update(fmr=float("nan")), "finite"),
    ],
)
def test_a_curve_that_cannot_be_right_is_refused(
    calibration: Calibration, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    fields = calibration.model_dump()
    change(fields)
    with pytest.raises(ValidationError, match=message):
        Calibration.model_validate(fields)


def test_rates_at_any_similarity_are_never_understated(calibration: Calibration) -> None:
    comparisons = cross_compare(*vectors_of_people())
    for similarity in np.linspace(-1, 1, 101):
        assert calibration.at_threshold(similarity).fmr >= comparisons.fmr(similarity) or (
            similarity < calibration.curve[0].threshold
        )
        assert calibration.fnmr_at(similarity) >= comparisons.fnmr(similarity)


def test_the_curve_rises_in_threshold_and_falls_in_fmr(calibration: Calibration) -> None:
    thresholds = [point.threshold for point in calibration.curve]
    rates = [point.fmr for point in calibration.curve]
    assert thresholds == sorted(set(thresholds))
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1


def test_the_upper_end_lies_above_the_rate(calibration: Calibration) -> None:
    assert all(point.fmr_upper95 >= point.fmr for point in calibration.curve)


def test_no_errors_seen_is_no_proof_that_there_are_none() -> None:
    separated = calibrate(*vectors_of_people(spread=0.02), "f")
    highest = separated.curve[-1]
    assert highest.fmr == 0
    assert highest.fmr_upper95 == 3 / (PEOPLE * (PEOPLE - 1) / 2)


def test_resampling_people_equals_a_slow_loop() -> None:
    vectors, people = vectors_of_people(seed=3)
    (fast,) = _fmr_upper95(vectors, people, [0.5], seed=5)
    draws = np.random.default_rng(5).integers(PEOPLE, size=(1000, PEOPLE))
    matches = np.zeros((PEOPLE, PEOPLE))
    for i, a in enumerate(people):
        for j, b in enumerate(people):
            matches[a, b] += float(vectors[i] @ vectors[j]) >= 0.5
    rates = []
    for draw in draws:
        hits = total = 0.0
        for a in draw:
            for b in draw:
                if a != b:
                    hits += matches[a, b]
                    total += SHOTS * SHOTS
        if total:
            rates.append(hits / total)
    assert fast == pytest.approx(np.quantile(rates, 0.975))


def test_the_same_data_gives_the_same_calibration() -> None:
    assert calibrate(*vectors_of_people(), "f") == calibrate(*vectors_of_people(), "f")
    assert calibrate(*vectors_of_people(1), "f") != calibrate(*vectors_of_people(), "f")
