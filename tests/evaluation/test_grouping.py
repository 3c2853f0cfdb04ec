from itertools import combinations

import numpy as np
import pytest

from mien.evaluation.grouping import grouped
from tests.evaluation import made

SAMPLES = made.samples(people=12, shots=4, spread=0.8)
GROUP_OF = {
    name: ("alone" if row == 11 else "even" if row % 2 else "odd")
    for row, name in enumerate(sorted(set(SAMPLES.people.tolist())))
}


def test_rates_of_each_group_equal_a_slow_loop() -> None:
    threshold = 0.55
    found = grouped(SAMPLES, GROUP_OF, threshold, seed=0)
    assert [group.group for group in found.groups] == ["alone", "even", "odd"]
    assert [group.people for group in found.groups] == [1, 5, 6]
    for group in found.groups:
        genuine: list[float] = []
        impostor: list[float] = []
        for i, j in combinations(range(len(SAMPLES.names)), 2):
            both = {GROUP_OF[SAMPLES.people[i]], GROUP_OF[SAMPLES.people[j]]}
            if both == {group.group}:
                same = SAMPLES.people[i] == SAMPLES.people[j]
                (genuine if same else impostor).append(SAMPLES.vectors[i] @ SAMPLES.vectors[j])
        assert group.genuine_comparisons == len(genuine)
        assert group.impostor_comparisons == len(impostor)
        assert group.fnmr == pytest.approx(np.mean(np.array(genuine) < threshold))
        if impostor:
            assert group.fmr == pytest.approx(np.mean(np.array(impostor) >= threshold))
        else:
            assert group.fmr is None
            assert group.fmr_interval95 is None


def test_the_ratio_is_of_the_worst_by_the_best() -> None:
    found = grouped(SAMPLES, GROUP_OF, 0.8, seed=0)
    rates = {group.group: group.fnmr or 0.0 for group in found.groups}
    ratio = found.fnmr_ratio
    assert ratio is not None
    assert ratio.worst == max(rates, key=lambda name: rates[name])
    assert ratio.best == min(rates, key=lambda name: rates[name])
    assert ratio.value is not None
    assert ratio.value == pytest.approx(rates[ratio.worst] / rates[ratio.best])
    assert ratio.low95 <= ratio.value
    assert ratio.high95 is None or ratio.value <= ratio.high95


def test_one_group_has_no_ratio() -> None:
    found = grouped(SAMPLES, dict.fromkeys(GROUP_OF, "all"), 0.55, seed=0)
    assert len(found.groups) == 1
    assert found.fmr_ratio is None
    assert found.fnmr_ratio is None
