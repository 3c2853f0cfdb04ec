from collections import defaultdict

import numpy as np
import pytest

from mien.evaluation.deployment import Deployment
from mien.evaluation.identification import _drawn, identification
from mien.evaluation.samples import Samples
from mien.matching.decision import RawThreshold, decide
from mien.model.bundle import Bundle
from tests.evaluation import made

SAMPLES = made.samples(people=16, shots=6, spread=0.8)
BY_HAND = Deployment(decide(RawThreshold(0.6), None), None)


def test_rates_equal_a_slow_loop() -> None:
    """Who is enrolled is drawn by the code; that it is drawn well is the next test."""
    found = identification(SAMPLES, "max", BY_HAND, seed=3)
    enrolment = _drawn(SAMPLES, seed=3)
    assert found is not None
    assert enrolment is not None
    ranks, mated, strangers = [], [], []
    for probe, person in zip(enrolment.probes, enrolment.probe_people, strict=True):
        best: dict[int, float] = defaultdict(lambda: -2.0)
        for sample, subject in zip(enrolment.gallery, enrolment.gallery_people, strict=True):
            best[int(subject)] = max(best[int(subject)], float(probe @ sample))
        if int(person) in best:
            own = best[int(person)]
            mated.append(own)
            ranks.append(1 + sum(v >= own for who, v in best.items() if who != person))
        else:
            strangers.append(max(best.values()))
    assert (found.mated_searches, found.non_mated_searches) == (len(mated), len(strangers))
    for point in found.by_threshold[::7]:
        missed = [v < point.threshold or r > 1 for v, r in zip(mated, ranks, strict=True)]
        assert point.fnir == pytest.approx(np.mean(missed), abs=0.03)
        assert point.fpir == pytest.approx(
            np.mean(np.array(strangers) >= point.threshold), abs=0.03
        )
        assert point.fpir_interval95[0] <= point.fpir <= point.fpir_interval95[1]
        assert point.fnir_interval95[0] <= point.fnir <= point.fnir_interval95[1]
    assert found.cmc == [np.mean(np.array(ranks) <= rank) for rank in range(1, 9)]
    for share, (low, high) in zip(found.cmc, found.cmc_interval95, strict=True):
        assert low <= share <= high
    whole = found.by_gallery_size[-1]
    assert whole.fpir == np.mean(np.array(strangers) >= 0.6)


def test_half_of_the_people_are_enrolled_with_half_their_pictures() -> None:
    found = identification(SAMPLES, "max", BY_HAND, seed=0)
    assert found is not None
    assert (found.enrolled_people, found.enrolled_samples) == (8, 24)
    assert (found.mated_searches, found.strangers, found.non_mated_searches) == (24, 8, 48)
    assert len(found.cmc) == 8


def test_galleries_of_each_size_stand_beside_the_formula(bundle: Bundle) -> None:
    assert bundle.calibration is not None
    deployment = Deployment(decide(RawThreshold(0.6), bundle.calibration), None)
    found = identification(SAMPLES, "max", deployment, seed=0)
    assert found is not None
    assert [(size.people, size.samples) for size in found.by_gallery_size] == [
        (1, 3), (2, 6), (4, 12), (8, 24),
    ]  # fmt: skip
    curve = bundle.calibration.curve_for(3)
    each = bundle.calibration.chances(3)
    fmr = curve.at_threshold(0.6).fmr
    for size in found.by_gallery_size:
        assert size.expected_fpir == pytest.approx(1 - (1 - fmr) ** (size.people * each))
        assert size.fpir_interval95[0] <= size.fpir <= size.fpir_interval95[1]
    one = found.by_gallery_size[0]
    whole = found.by_gallery_size[-1]
    assert one.fpir < whole.fpir
    assert 1 - (1 - one.predicted_fpir) ** 8 == pytest.approx(whole.predicted_fpir)


def test_by_the_mean_the_formula_counts_people() -> None:
    best, mean = (identification(SAMPLES, rule, BY_HAND, seed=0) for rule in ("max", "mean"))
    assert best is not None
    assert mean is not None
    assert (best.fusion, mean.fusion) == ("max", "mean")
    assert mean.by_gallery_size[-1].fpir < best.by_gallery_size[-1].fpir
    one, whole = mean.by_gallery_size[0], mean.by_gallery_size[-1]
    assert 1 - (1 - one.predicted_fpir) ** 8 == pytest.approx(whole.predicted_fpir)


def test_the_seed_says_who_is_enrolled() -> None:
    first, again, other = (identification(SAMPLES, "max", None, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_without_a_threshold_galleries_have_no_rate_by_size() -> None:
    found = identification(SAMPLES, "max", None, seed=0)
    assert found is not None
    assert found.by_gallery_size == []
    assert found.by_threshold


def test_people_with_one_picture_are_strangers() -> None:
    few = made.samples(people=3, shots=2)
    kept = np.array([0, 1, 2, 4])
    mixed = Samples(few.vectors[kept], few.people[kept], few.names[kept], ())
    found = identification(mixed, "max", BY_HAND, seed=0)
    assert found is not None
    assert (found.enrolled_people, found.enrolled_samples) == (1, 1)
    assert (found.mated_searches, found.strangers) == (1, 2)


def test_without_a_second_picture_nobody_can_be_searched_for() -> None:
    assert identification(made.samples(people=5, shots=1), "max", BY_HAND, seed=0) is None
