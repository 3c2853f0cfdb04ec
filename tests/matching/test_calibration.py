import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mien.errors import DatasetInvalid
from mien.matching import calibration as module
from mien.matching.calibration import Calibration, calibrate, fusion_of
from mien.matching.curve import Curve
from mien.matching.fusion import Rule
from mien.matching.metrics import Vectors, cross_compare
from mien.matching.subjects import Subjects
from mien.matching.support import smallest_fmr

PEOPLE, SHOTS = 12, 5


def vectors_of_people(
    seed: int = 0, spread: float = 0.15, people: int = PEOPLE, shots: int = SHOTS
) -> tuple[Vectors, np.ndarray]:
    random = np.random.default_rng(seed)
    looks = np.repeat(random.normal(size=(people, 8)), shots, axis=0)
    raw = looks + random.normal(0, spread * 8, looks.shape)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(people), shots)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(*vectors_of_people(), "fingerprint")


@pytest.fixture(scope="module")
def curve(calibration: Calibration) -> Curve:
    return calibration.pictures


def with_rule(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> Calibration:
    monkeypatch.setattr(module, "RULES", (rule,))
    return calibrate(*vectors_of_people(shots=9), "fingerprint")


def test_it_counts_what_it_was_measured_on(calibration: Calibration) -> None:
    images = PEOPLE * SHOTS
    genuine = PEOPLE * SHOTS * (SHOTS - 1) // 2
    assert calibration.identities == PEOPLE
    assert calibration.pictures.genuine_comparisons == genuine
    assert calibration.pictures.impostor_comparisons == images * (images - 1) // 2 - genuine


def test_the_smallest_fmr_counts_pairs_of_people_however_many_their_pictures() -> None:
    for shots in (2, 9):
        found = calibrate(*vectors_of_people(shots=shots), "f")
        assert found.smallest_supported_fmr == 3 / math.comb(PEOPLE, 2)
        assert {curve.identity_pairs for curve in found.curves} == {math.comb(PEOPLE, 2)}
    assert "pairs of people" in json.loads(found.model_dump_json())["support"]


@pytest.mark.parametrize("fmr", [0.9, 0.5, 0.1, 0.0455])
def test_a_rate_that_is_asked_for_is_kept_on_the_data_it_was_measured_on(
    calibration: Calibration, fmr: float
) -> None:
    comparisons = cross_compare(*vectors_of_people())
    point = calibration.pictures.at_fmr(fmr)
    assert point.fmr <= fmr
    assert point.fmr == pytest.approx(comparisons.fmr(point.threshold), abs=1e-12)
    assert point.fnmr == comparisons.fnmr(point.threshold)


def test_little_is_given_away_between_the_points_of_the_curve(curve: Curve) -> None:
    for fmr in (0.5, 0.1, 0.05):
        assert curve.at_fmr(fmr).fmr > 0.8 * fmr


class TestCurves:
    @pytest.mark.parametrize(
        ("shots", "sizes"), [(2, [1]), (3, [1, 2]), (5, [1, 2, 4]), (9, [1, 2, 4, 8])]
    )
    def test_there_is_one_for_each_size_that_the_data_carries(
        self, shots: int, sizes: list[int]
    ) -> None:
        found = calibrate(*vectors_of_people(shots=shots), "f")
        assert [curve.samples for curve in found.curves] == sizes

    def test_half_of_the_people_must_have_a_picture_more(self) -> None:
        vectors, people = vectors_of_people()
        few = np.concatenate([np.flatnonzero(people == p)[: 3 if p < 6 else 2] for p in range(12)])
        fewer = np.setdiff1d(few, np.flatnonzero(people == 5)[2:])
        found = calibrate(vectors[few], people[few], "f")
        assert [curve.samples for curve in found.curves] == [1, 2]
        assert len(calibrate(vectors[fewer], people[fewer], "f").curves) == 1

    def test_each_is_measured_by_the_rule_that_is_chosen(self, calibration: Calibration) -> None:
        subjects = Subjects.draw(*vectors_of_people(), samples=2)
        compared = subjects.comparisons(calibration.fusion)
        curve = calibration.curves[1]
        for point in curve.points:
            assert point.fmr == pytest.approx(compared.fmr(point.threshold), abs=1e-12)
            assert point.fnmr == compared.fnmr(point.threshold)
        assert curve.genuine_comparisons == len(compared.genuine)
        assert curve.impostor_comparisons == len(compared.impostor)

    def test_the_best_sample_takes_the_next_larger_number(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        best = with_rule("max", monkeypatch)
        asked = [0, 1, 2, 3, 4, 5, 8, 9, 17]
        assert [best.curve_for(k).samples for k in asked] == [1, 1, 2, 4, 4, 8, 8, 8, 8]
        assert [best.chances(k) for k in asked[1:]] == [1, 1, 1, 1, 1, 1, 2, 3]

    def test_the_mean_takes_the_next_smaller_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mean = with_rule("mean", monkeypatch)
        asked = [0, 1, 2, 3, 4, 7, 8, 9, 17]
        assert [mean.curve_for(k).samples for k in asked] == [1, 1, 2, 2, 4, 4, 8, 8, 8]
        assert {mean.chances(k) for k in asked} == {1}

    @pytest.mark.parametrize("rule", ["max", "mean"])
    def test_a_size_that_was_not_measured_is_not_understated(
        self, rule: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rates of 3 and of 6 samples against the curves that stand for them, on other draws."""
        vectors, people = vectors_of_people(seed=8, people=60, shots=9)
        monkeypatch.setattr(module, "RULES", (rule,))
        found = calibrate(vectors, people, "f")
        for size in (3, 6):
            compared = Subjects.draw(vectors, people, size).comparisons(rule)
            point = found.curve_for(size).at_fmr(0.01)
            assert compared.fmr(point.threshold) < point.fmr_upper95
        assert found.chances(3) == 1


class TestFusion:
    def test_the_mean_is_preferred_where_noise_is_independent(self) -> None:
        assert calibrate(*vectors_of_people(people=40, shots=9, spread=0.3), "f").fusion == "mean"

    def test_the_best_is_preferred_where_a_person_has_several_looks(self) -> None:
        """Every person has two looks, so that half of the samples say nothing of the other."""
        vectors, people = vectors_of_people(people=80, shots=9, spread=0.02)
        assert calibrate(vectors, people // 2, "f").fusion == "max"

    def test_of_single_samples_there_is_nothing_to_fuse(self) -> None:
        assert calibrate(*vectors_of_people(shots=2), "f").fusion == "max"
        assert fusion_of(None) == "max"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["points"].reverse(), "not in order of threshold"),
        (lambda c: c.update(points=c["points"][:1]), "ends before the smallest FMR"),
        (lambda c: c["points"][0].update(fmr=float("nan")), "finite"),
        (lambda c: c["points"][3].update(fmr_upper95=0.0), "not within its interval"),
        (lambda c: c["points"][3].update(fnmr_lower95=-0.1), "not within its interval"),
        (lambda c: c["points"][3].update(log10_lr=9.0), "log10_lr does not follow"),
        (lambda c: c.update(smallest_supported_fmr=0.04), "12 identities do not support"),
        (lambda c: c.update(identity_pairs=67), "12 identities make 66 pairs"),
        (lambda c: c.pop("identities"), "identities\n  Field required"),
        (lambda c: c.update(colour="red"), "colour\n  Extra inputs"),
    ],
)
def test_a_curve_that_cannot_be_right_is_refused(
    curve: Curve, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    fields = curve.model_dump()
    change(fields)
    with pytest.raises(ValidationError, match=message):
        Curve.model_validate(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["curves"].reverse(), "begin at 1 and rise"),
        (lambda c: c.update(fusion="median"), "'max' or 'mean'"),
        (lambda c: c.update(support="trust me"), "rule of three on pairs of people"),
        (lambda c: c.pop("fusion"), "fusion\n  Field required"),
    ],
)
def test_a_calibration_that_cannot_be_right_is_refused(
    calibration: Calibration, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    fields = calibration.model_dump()
    change(fields)
    with pytest.raises(ValidationError, match=message):
        Calibration.model_validate(fields)


def test_one_of_an_older_mien_is_refused_with_what_to_do() -> None:
    older = {"calibration_id": "a", "model_fingerprint": "f", "identities": 12, "curve": []}
    with pytest.raises(ValidationError, match=r"an older mien .* export the bundle again"):
        Calibration.model_validate(older)


def test_it_is_read_back_as_it_was_written(calibration: Calibration) -> None:
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


def test_rates_at_any_similarity_are_never_understated(curve: Curve) -> None:
    comparisons = cross_compare(*vectors_of_people())
    for similarity in np.linspace(-1, 1, 101):
        assert curve.at_threshold(similarity).fmr >= comparisons.fmr(similarity) - 1e-12
        assert curve.fnmr_at(similarity) >= comparisons.fnmr(similarity)


def test_the_curve_rises_in_threshold_and_falls_in_fmr(calibration: Calibration) -> None:
    for curve in calibration.curves:
        thresholds = [point.threshold for point in curve.points]
        rates = [point.fmr for point in curve.points]
        assert thresholds == sorted(set(thresholds))
        assert rates == sorted(rates, reverse=True)
        assert (rates[0], thresholds[0]) == (1, -1)


def test_no_errors_seen_is_no_proof_that_there_are_none() -> None:
    separated = calibrate(*vectors_of_people(spread=0.02), "f")
    for curve in separated.curves:
        assert curve.points[-1].fmr == 0
        assert curve.points[-1].fmr_upper95 == 3 / (PEOPLE * (PEOPLE - 1) / 2)
        assert curve.points[0].fnmr == 0
        assert curve.points[0].fnmr_upper95 == 3 / PEOPLE


def test_the_likelihood_ratio_rises_and_is_bounded_by_the_people(calibration: Calibration) -> None:
    for curve in calibration.curves:
        ratios = [point.log10_lr for point in curve.points]
        assert ratios == sorted(ratios)
        assert ratios[0] < 0 < ratios[-1]
        assert ratios[0] >= math.log10(3 / PEOPLE)
        assert ratios[-1] <= -math.log10(smallest_fmr(PEOPLE))


def test_the_likelihood_ratio_is_what_the_shares_of_similarities_say(curve: Curve) -> None:
    comparisons = cross_compare(*vectors_of_people())
    middle = [point for point in curve.points if abs(point.log10_lr) < 0.3]
    low, high = middle[0].threshold, middle[-1].threshold
    genuine = np.mean((comparisons.genuine >= low) & (comparisons.genuine < high))
    impostor = np.mean((comparisons.impostor >= low) & (comparisons.impostor < high))
    assert abs(math.log10(genuine / impostor)) < 0.3


@pytest.mark.parametrize("people", [[0, 0], [0, 1, 2]])
def test_without_comparisons_of_either_kind_there_is_nothing_to_measure(people: list[int]) -> None:
    with pytest.raises(DatasetInvalid, match="cannot calibrate anything"):
        calibrate(vectors_of_people()[0][: len(people)], np.array(people), "f")


def test_the_same_data_gives_the_same_calibration() -> None:
    assert calibrate(*vectors_of_people(), "f") == calibrate(*vectors_of_people(), "f")
    assert calibrate(*vectors_of_people(1), "f") != calibrate(*vectors_of_people(), "f")
    ids = {calibrate(*vectors_of_people(seed), "f").calibration_id for seed in (0, 0, 1)}
    assert len(ids) == 2


def test_it_keeps_what_it_was_measured_on_and_older_files_say_nothing() -> None:
    generator = np.random.default_rng(5)
    vectors = generator.normal(size=(12, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    measured = calibrate(vectors, np.repeat(range(4), 3), "f" * 64, dataset_digest="a" * 64)
    again = Calibration.model_validate_json(measured.model_dump_json())
    assert again.dataset_digest == "a" * 64
    older = json.loads(measured.model_dump_json())
    del older["dataset_digest"]
    assert Calibration.model_validate_json(json.dumps(older)).dataset_digest == ""
    with pytest.raises(ValidationError, match="dataset_digest"):
        Calibration.model_validate_json(json.dumps(older | {"dataset_digest": "A" * 64}))
