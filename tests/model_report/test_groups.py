"""Rates by thirds of a measure, against a slow loop."""

import numpy as np
import pytest

from mien.evaluation.compared import ListedPairs
from mien.evaluation.trials import Trials
from model_report.groups import by_measure
from tests.model_report.test_open_set import samples


@pytest.fixture(scope="module")
def compared() -> ListedPairs:
    made = samples(people=6, shots=5, spread=1.0)
    first, second = np.triu_indices(len(made.names), k=1)
    return ListedPairs(made, Trials(first, second, np.zeros_like(first), 0), 0)


@pytest.mark.parametrize("worse", ["smaller", "larger"])
def test_thirds_hold_every_comparison_once_and_their_own_errors(
    compared: ListedPairs, worse: str
) -> None:
    values = np.random.default_rng(1).permutation(30).astype(float)
    thirds = by_measure(compared, values, worse, threshold=0.4, seed=0)
    trials, same = compared.trials, compared.pairs.same
    pick = min if worse == "smaller" else max
    worst = [pick(values[a], values[b]) for a, b in zip(trials.first, trials.second, strict=True)]
    seen = 0
    for third in thirds:
        inside = [n for n, value in enumerate(worst) if third["from"] <= value <= third["to"]]
        genuine = [n for n in inside if same[n]]
        impostor = [n for n in inside if not same[n]]
        missed = [n for n in genuine if compared.similarities[n] < 0.4]
        confused = [n for n in impostor if compared.similarities[n] >= 0.4]
        assert third["fnmr"] == pytest.approx(len(missed) / len(genuine))
        assert third["fmr"] == pytest.approx(len(confused) / len(impostor))
        assert third["fnmr_interval95"][0] <= third["fnmr"] <= third["fnmr_interval95"][1]
        seen += len(inside)
    assert seen == len(worst)
    ends = [third["from"] for third in thirds]
    assert ends == sorted(ends, reverse=worse == "smaller")


def test_thirds_of_the_comparisons_of_one_person_are_alike_in_number(compared: ListedPairs) -> None:
    values = np.random.default_rng(2).permutation(30).astype(float)
    counts = [
        third["fnmr_comparisons"] for third in by_measure(compared, values, "larger", 0.4, seed=0)
    ]
    assert sum(counts) == 6 * 10
    assert max(counts) - min(counts) <= 8


def test_the_rule_of_three_counts_people_and_pairs_of_people(compared: ListedPairs) -> None:
    """Where nothing goes wrong, an interval ends at 3 / how many trials were independent."""
    values = np.tile(np.arange(5.0), 6)  # everybody has comparisons in each third
    for threshold, name, independent in ((2.0, "fmr", 6 * 5 / 2), (-2.0, "fnmr", 6)):
        for third in by_measure(compared, values, "larger", threshold, seed=0):
            assert third[f"{name}_interval95"] == pytest.approx([0.0, 3 / independent])
