from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mien.errors import DatasetInvalid
from mien.evaluation.compared import AllPairs, ListedPairs
from mien.evaluation.deployment import Deployment, deploy
from mien.evaluation.samples import Samples
from mien.evaluation.trials import Trials
from mien.evaluation.verification import verification
from mien.matching.decision import RawThreshold, decide
from mien.model.bundle import Bundle
from tests.evaluation import made

SAMPLES = made.samples(people=30, shots=4)
ALL = list(combinations(range(len(SAMPLES.names)), 2))
SCORES = np.array([SAMPLES.vectors[i] @ SAMPLES.vectors[j] for i, j in ALL])
LABELS = np.array([SAMPLES.people[i] == SAMPLES.people[j] for i, j in ALL])


def test_eer_and_auc_equal_those_of_scikit_learn() -> None:
    found, _ = verification(AllPairs(SAMPLES, seed=0))
    assert found.genuine_comparisons == LABELS.sum()
    assert found.impostor_comparisons == (~LABELS).sum()
    assert found.auc == pytest.approx(roc_auc_score(LABELS, SCORES), abs=1e-6)
    fmr, tmr, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    crossing = np.argmin(np.abs(fmr - (1 - tmr)))
    assert found.eer == pytest.approx(fmr[crossing], abs=1 / LABELS.sum())
    assert found.eer_interval95[0] <= found.eer <= found.eer_interval95[1]
    assert found.auc_interval95[0] <= found.auc <= found.auc_interval95[1] <= 1


def test_fnmr_is_given_as_far_as_the_people_carry() -> None:
    found, _ = verification(AllPairs(SAMPLES, seed=0))
    assert found.people_pairs == 30 * 29 / 2
    assert found.smallest_supported_fmr == 3 / 435
    points = {point.target_fmr: point for point in found.operating_points}
    assert [target for target, point in points.items() if point.supported] == [1e-1, 1e-2]
    assert points[1e-3].people_pairs_needed == 3000
    assert points[1e-3].fnmr is None
    for target in (1e-1, 1e-2):
        point = points[target]
        assert point.threshold is not None
        assert point.fmr is not None
        assert point.fnmr is not None
        assert point.fmr == np.mean(SCORES[~LABELS] >= point.threshold) <= target
        assert point.fnmr == np.mean(SCORES[LABELS] < point.threshold)
        assert point.fnmr_interval95 is not None
        assert point.fnmr_interval95[0] <= point.fnmr <= point.fnmr_interval95[1]


def test_two_people_support_nothing_and_still_have_an_eer() -> None:
    found = verification(AllPairs(made.samples(people=2, shots=3), seed=0))[0]
    assert found.smallest_supported_fmr == 1
    assert not any(point.supported for point in found.operating_points)
    assert 0 <= found.eer <= 1


def test_without_a_genuine_comparison_there_is_no_rate() -> None:
    with pytest.raises(DatasetInvalid, match="genuine"):
        verification(AllPairs(made.samples(people=5, shots=1), seed=0))


def test_densities_are_of_all_similarities() -> None:
    shown = verification(AllPairs(SAMPLES, seed=0))[0].similarities
    widths = np.diff(shown.edges)
    assert np.sum(widths * shown.genuine) == pytest.approx(1)
    assert np.sum(widths * shown.impostor) == pytest.approx(1)
    theirs, _ = np.histogram(SCORES[~LABELS], shown.edges, density=True)
    np.testing.assert_allclose(shown.impostor, theirs, atol=0.02)


def test_listed_pairs_of_everything_give_the_rates_of_everything() -> None:
    first, second = np.array(ALL).T
    listed = ListedPairs(SAMPLES, Trials(first, second, np.zeros(len(first), np.int64), 0), seed=0)
    one, other = (verification(all_)[0] for all_ in (listed, AllPairs(SAMPLES, seed=0)))
    assert one.people_pairs == other.people_pairs
    assert one.auc == pytest.approx(other.auc)
    assert one.eer == pytest.approx(other.eer, abs=1e-6)
    np.testing.assert_allclose(one.eer_interval95, other.eer_interval95, atol=0.02)
    np.testing.assert_allclose(one.auc_interval95, other.auc_interval95, atol=1e-4)


def test_the_deployed_threshold_is_held_against_these_comparisons(bundle: Bundle) -> None:
    compared = AllPairs(SAMPLES, seed=0)
    by_hand = verification(compared, Deployment(decide(RawThreshold(0.5), None), None))[1]
    assert by_hand is not None
    assert by_hand.fmr == np.mean(SCORES[~LABELS] >= np.float32(0.5))
    assert by_hand.fnmr == np.mean(SCORES[LABELS] < np.float32(0.5))
    assert by_hand.expected_fmr is by_hand.expected_fnmr is None
    assert bundle.calibration is not None
    deployment = deploy(bundle.calibration, None)
    assert deployment is not None
    measured, found = verification(compared, deployment)
    assert found is not None
    assert measured == verification(compared)[0]
    assert found.target_fmr is not None
    assert found.target_fmr >= bundle.calibration.smallest_supported_fmr
    assert found.expected_fmr is not None
    at = {point.threshold: point.fnmr for point in bundle.calibration.pictures.points}
    assert found.expected_fnmr == at[found.threshold]
    assert found.expected_fmr <= found.target_fmr
    assert found.fmr == np.mean(SCORES[~LABELS] >= np.float32(found.threshold))


def test_without_calibration_and_threshold_nothing_is_deployed() -> None:
    assert deploy(None, None) is None


def test_similarities_that_are_all_equal_have_a_histogram_and_rates() -> None:
    vectors = np.tile(SAMPLES.vectors[:1], (len(SAMPLES.names), 1))
    alike = Samples(vectors, SAMPLES.people, SAMPLES.names, ())
    found, _ = verification(AllPairs(alike, seed=0))
    assert 0 <= found.eer <= 1
    shown = found.similarities
    widths = np.diff(shown.edges)
    assert (widths > 0).all()
    assert shown.edges[-1] - shown.edges[0] == pytest.approx(1e-3)
    for density in (shown.genuine, shown.impostor):
        assert np.sum(widths * density) == pytest.approx(1)
