import numpy as np
import pytest

from mien.matching.fusion import Rule
from mien.matching.intervals import rate_intervals
from mien.matching.metrics import Vectors
from mien.matching.resampling import RESAMPLES, draw
from mien.matching.subjects import GROUPS, Subjects
from tests.matching.test_calibration import vectors_of_people

SHOTS = [7, 5, 5, 1, 3, 9, 2, 4]


def people_of_many_pictures() -> tuple[Vectors, np.ndarray]:
    """Eight people of so many pictures, shuffled, with ids that are no numbers in a row."""
    vectors, _ = vectors_of_people(seed=4, spread=0.2)
    people = np.repeat(np.arange(len(SHOTS)) * 10 + 3, SHOTS)
    order = np.random.default_rng(0).permutation(len(people))
    return vectors[: len(people)], people[order]


def slow(subjects: Subjects, rule: Rule) -> list[tuple[int, int, float]]:
    """Whose picture, whose subject, how alike: one at a time."""
    compared = []
    for row, person in enumerate(subjects.owners):
        for samples in subjects.samples:
            if row not in samples:
                each = [float(subjects.vectors[row] @ subjects.vectors[s]) for s in samples]
                fused = max(each) if rule == "max" else sum(each) / len(each)
                compared.append((int(person), int(subjects.owners[samples[0]]), fused))
    return compared


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_subjects_are_of_one_person_and_of_different_pictures(size: int) -> None:
    vectors, people = people_of_many_pictures()
    subjects = Subjects.draw(vectors, people, size)
    assert subjects.people == sum(shots >= size for shots in SHOTS)
    assert subjects.people_with_genuine == sum(shots > size for shots in SHOTS)
    assert len(set(subjects.samples.ravel())) == subjects.samples.size
    for samples in subjects.samples:
        assert len(set(subjects.owners[samples])) == 1
    per_person = np.bincount(subjects.owners[subjects.samples[:, 0]])
    assert per_person.tolist() == [min(GROUPS, shots // size) for shots in SHOTS if shots >= size]
    known = {vector.tobytes(): who for vector, who in zip(vectors, people, strict=True)}
    whose = [known[vector.tobytes()] for vector in subjects.vectors]
    assert whose == [sorted(set(whose))[owner] for owner in subjects.owners]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("rule", ["max", "mean"])
def test_comparisons_equal_a_slow_loop(size: int, rule: Rule) -> None:
    subjects = Subjects.draw(*people_of_many_pictures(), size)
    found, each = subjects.comparisons(rule), slow(subjects, rule)
    np.testing.assert_allclose(found.genuine, sorted(s for a, b, s in each if a == b), atol=1e-6)
    np.testing.assert_allclose(found.impostor, sorted(s for a, b, s in each if a != b), atol=1e-6)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("rule", ["max", "mean"])
def test_intervals_equal_a_slow_loop(size: int, rule: Rule) -> None:
    subjects = Subjects.draw(*people_of_many_pictures(), size)
    thresholds = np.array([-0.3, 0.21, 0.6], np.float32)
    draws = draw(subjects.people, 5)
    for found, threshold in zip(subjects.intervals(rule, thresholds, 5), thresholds, strict=True):
        totals = np.zeros((2, 2, RESAMPLES))
        for a, b, similarity in slow(subjects, rule):
            weight = draws[a] if a == b else draws[a] * draws[b]
            totals[int(a == b), 0] += weight
            totals[int(a == b), 1] += weight * (similarity >= threshold)
        with np.errstate(invalid="ignore"):
            fmr, match = totals[:, 1] / totals[:, 0]
        ends = np.quantile(fmr[~np.isnan(fmr)], [0.025, 0.975])
        pairs = subjects.people * (subjects.people - 1) / 2
        assert found.fmr.low == pytest.approx(min(ends[0], 1 - 3 / pairs), abs=1e-6)
        assert found.fmr.high == pytest.approx(max(ends[1], 3 / pairs), abs=1e-6)
        ends = np.quantile((1 - match)[~np.isnan(match)], [0.025, 0.975])
        bound = min(1, 3 / subjects.people_with_genuine)
        assert found.fnmr.low == pytest.approx(min(ends[0], 1 - bound), abs=1e-6)
        assert found.fnmr.high == pytest.approx(max(ends[1], bound), abs=1e-6)


def test_subjects_of_one_picture_are_compared_as_pictures() -> None:
    vectors, people = people_of_many_pictures()
    subjects = Subjects.draw(vectors, people, 1)
    thresholds = np.array([0.1, 0.5], np.float32)
    assert subjects.intervals("max", thresholds) == rate_intervals(vectors, people, [0.1, 0.5])
    assert len(subjects.comparisons("mean").genuine) == sum(n * (n - 1) // 2 for n in SHOTS)
