from itertools import combinations

import numpy as np
import pytest

from mien.evaluation import difference
from mien.evaluation.compared import ListedPairs
from mien.evaluation.difference import differences, drawn_trials
from mien.evaluation.samples import Samples
from tests.evaluation import made

SAMPLES = made.samples(people=12, shots=4)


def pairs(samples: Samples, seed: int = 0) -> list[tuple[int, int]]:
    trials = drawn_trials(samples, seed)
    both = zip(trials.first.tolist(), trials.second.tolist(), strict=True)
    return [(min(pair), max(pair)) for pair in both]


def test_few_comparisons_are_all_of_them() -> None:
    shuffled = np.random.default_rng(5).permutation(len(SAMPLES.names))
    mixed = Samples(
        SAMPLES.vectors[shuffled], SAMPLES.people[shuffled], SAMPLES.names[shuffled], ()
    )
    for samples in (SAMPLES, mixed):
        assert sorted(pairs(samples)) == list(combinations(range(48), 2))


def test_of_many_so_many_of_each_kind_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "MOST_OF_A_KIND", 50)
    drawn = pairs(SAMPLES)
    assert len(set(drawn)) == len(drawn) == 100
    assert sum(SAMPLES.people[i] == SAMPLES.people[j] for i, j in drawn) == 50
    assert pairs(SAMPLES) == drawn != pairs(SAMPLES, seed=1)


def test_a_bundle_does_not_differ_from_itself() -> None:
    listed = ListedPairs(SAMPLES, drawn_trials(SAMPLES, 0), seed=0)
    for found in differences(listed, listed, None, seed=0):
        assert found.difference == 0
        assert found.difference_interval95 == (0, 0)
        assert found.p_value == 1


def test_a_worse_bundle_is_told_from_chance() -> None:
    worse = made.samples(people=12, shots=4, spread=3.0)
    this, other = (ListedPairs(s, drawn_trials(s, 0), seed=0) for s in (SAMPLES, worse))
    eer = differences(this, other, None, seed=0)[0]
    assert eer.measure == "EER"
    assert eer.this == pytest.approx(this.comparisons.eer(), abs=1e-6)
    assert eer.other == pytest.approx(other.comparisons.eer(), abs=1e-6)
    assert eer.difference_interval95 is not None
    assert eer.difference_interval95[0] > 0
    assert eer.p_value is not None
    assert eer.p_value < 0.05


@pytest.mark.parametrize(
    ("people", "measures"),
    [
        (5, ["EER"]),
        (9, ["EER", "FNMR at FMR 10 %"]),
        (12, ["EER", "FNMR at FMR 10 %"]),
        (25, ["EER", "FNMR at FMR 10 %", "FNMR at FMR 1 %"]),
    ],
)
def test_only_what_the_people_support_is_tested(people: int, measures: list[str]) -> None:
    this, other = (made.samples(people, 3, spread=spread) for spread in (0.5, 0.9))
    listed = [ListedPairs(s, drawn_trials(s, 0), seed=0) for s in (this, other)]
    found = differences(listed[0], listed[1], None, seed=0)
    assert [each.measure for each in found] == measures
    for each in found:
        assert (each.difference_interval95 is None) == (each.p_value is None) == (people < 10)
