import numpy as np
import pytest

from mien.errors import DatasetInvalid
from mien.matching.groups import compare_groups
from mien.matching.intervals import rate_intervals
from mien.matching.metrics import People, Vectors, cross_compare
from mien.matching.resampling import resample_rates
from tests.matching.looks import looks

THRESHOLD = 0.5


def divided() -> tuple[Vectors, People, list[str]]:
    """Thirty people, ten in each group; those of the first look more alike."""
    vectors, people = looks(30, 4)
    names = ["abc"[(person - 100) // 7 % 3] for person in people.tolist()]
    similar = np.array(names) == "a"
    vectors[similar] += np.float32(0.2)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), people, names


def test_a_group_is_measured_as_if_it_were_alone() -> None:
    vectors, people, names = divided()
    found = compare_groups(vectors, people, names, THRESHOLD, seed=3)
    assert [group.name for group in found.groups] == ["a", "b", "c"]
    for at, group in enumerate(found.groups):
        mine = np.array(names) == group.name
        alone = cross_compare(vectors[mine], people[mine])
        (ends,) = rate_intervals(vectors[mine], people[mine], [THRESHOLD], seed=3 + at)
        assert group.fmr is not None
        assert group.fnmr is not None
        assert (group.fmr.value, group.fmr.interval) == (alone.fmr(THRESHOLD), ends.fmr)
        assert (group.fnmr.value, group.fnmr.interval) == (alone.fnmr(THRESHOLD), ends.fnmr)
        assert (group.people, group.images) == (10, 40)
        assert group.genuine_comparisons == len(alone.genuine)
        assert group.impostor_comparisons == len(alone.impostor)


def test_the_ratio_is_of_the_worst_to_the_best_and_its_interval_of_resamples() -> None:
    vectors, people, names = divided()
    found = compare_groups(vectors, people, names, THRESHOLD)
    rates = {group.name: group.fmr.value for group in found.groups if group.fmr}
    ratio = found.fmr_ratio
    assert ratio is not None
    assert ratio.worst == "a" == max(rates, key=lambda name: rates[name])
    assert ratio.best == min(rates, key=lambda name: rates[name])
    assert ratio.value == rates[ratio.worst] / rates[ratio.best]
    resampled = []
    for name in (ratio.worst, ratio.best):
        mine = np.array(names) == name
        at = np.array([THRESHOLD], np.float32)
        seed = "abc".index(name)
        resampled.append(resample_rates(vectors[mine], people[mine], at, seed).fmr[:, 0])
    with np.errstate(divide="ignore"):
        ratios = np.sort(resampled[0] / resampled[1])
    assert ratio.low == pytest.approx(ratios[24], rel=1e-6)
    assert ratio.high == pytest.approx(ratios[974], rel=1e-6)
    assert ratio.low < ratio.value


def test_a_best_rate_of_zero_leaves_the_ratio_open_above_and_bounded_below() -> None:
    vectors, people, names = divided()
    clear = np.array(names) == "b"
    numbers = (people[clear] - 100) // 7
    vectors = np.c_[vectors, np.zeros((len(vectors), 30), np.float32)]
    vectors[clear] = np.eye(38, dtype=np.float32)[8 + numbers]  # each person a direction of its own
    found = compare_groups(vectors, people, names, THRESHOLD)
    assert found.fmr_ratio is not None
    assert found.fmr_ratio.value is None
    assert found.fmr_ratio.high is None
    worst = next(group for group in found.groups if group.name == "a")
    assert worst.fmr is not None
    assert found.fmr_ratio.low == worst.fmr.interval.low / (3 / 45)
    assert 0 < found.fmr_ratio.low < np.inf


def test_a_best_rate_that_is_often_zero_leaves_the_ratio_open_above() -> None:
    """One person of ten is always missed in the best group: 35 % of resamples leave it out."""
    people = np.repeat(np.arange(20), 4)
    names = ["best" if person < 10 else "worst" for person in people]
    vectors = np.eye(40, dtype=np.float32)[people]
    for missed in (0, 10, 11, 12):
        vectors[people == missed] = np.eye(40, dtype=np.float32)[[20, 21, 22, 23 + missed]]
    ratio = compare_groups(vectors, people, names, THRESHOLD).fnmr_ratio
    assert ratio is not None
    assert (ratio.worst, ratio.best) == ("worst", "best")
    assert ratio.value == pytest.approx(3)
    assert 0 <= ratio.low < 3
    assert ratio.high is None


def test_a_rate_without_comparisons_is_absent() -> None:
    vectors, people = looks(4, 3)
    once = np.unique(people, return_index=True)[1][1:]
    rows = np.r_[np.flatnonzero(people == people.min()), once]
    names = ["alone", "alone", "alone", "once", "once", "once"]
    found = compare_groups(vectors[rows], people[rows], names, THRESHOLD)
    lonely, single = found.groups
    assert lonely.fmr is None
    assert lonely.fnmr is not None
    assert lonely.fnmr.interval.high == 1
    assert single.fnmr is None
    assert single.fmr is not None
    assert found.fmr_ratio is None
    assert found.fnmr_ratio is None


def test_a_person_in_two_groups_is_refused() -> None:
    vectors, people, names = divided()
    names[5] = "d"
    with pytest.raises(DatasetInvalid, match=f"person {people[5]} is in the groups .* and 'd'"):
        compare_groups(vectors, people, names, THRESHOLD)


def test_equal_groups_have_a_ratio_of_one() -> None:
    vectors, people = looks(10, 4)
    names = ["a"] * 40 + ["b"] * 40
    found = compare_groups(np.r_[vectors, vectors], np.r_[people, people + 1000], names, THRESHOLD)
    assert found.fmr_ratio is not None
    assert found.fmr_ratio.value == pytest.approx(1)
    assert {found.fmr_ratio.worst, found.fmr_ratio.best} == {"a", "b"}
    assert found.fmr_ratio.low < 1
