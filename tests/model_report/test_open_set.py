"""Searches in which everybody is enrolled and everybody is a stranger once, against a slow loop."""

import numpy as np
import pytest

from mien.evaluation.samples import Samples
from mien.matching.calibration import calibrate
from mien.matching.fusion import Rule
from model_report.open_set import figures, searches

EACH = 3


def samples(people: int, shots: int, seed: int = 0, spread: float = 0.5) -> Samples:
    random = np.random.default_rng(seed)
    middles = random.normal(size=(people, 16)).repeat(shots, axis=0)
    vectors = middles + spread * random.normal(size=(people * shots, 16))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    names = [f"p{p:03d}/{s}.jpg" for p in range(people) for s in range(shots)]
    return Samples(unit, np.array([n[:4] for n in names]), np.array(names), ())


@pytest.mark.parametrize("rule", ["max", "mean"])
def test_each_search_is_what_a_slow_loop_finds(rule: Rule) -> None:
    made = samples(people=7, shots=5, spread=1.0)
    found = searches(made, EACH, rule, seed=3)
    fused = np.max if rule == "max" else np.mean
    chosen = _enrolled(made, found.samples, seed=3)
    probes = [row for row in range(len(made.names)) if row not in chosen]
    assert (found.subjects, found.samples) == (7, 7 * 2)  # half of five at most
    for number, row in enumerate(probes):
        alike = {
            person: fused(
                [made.vectors[row] @ made.vectors[c] for c in chosen if whose(made, c) == person]
            )
            for person in sorted(set(made.people.tolist()))
        }
        own = alike.pop(whose(made, row))
        assert found.mated_similarities[number] == pytest.approx(own, abs=1e-6)
        assert found.nonmated_best[number] == pytest.approx(max(alike.values()), abs=1e-6)
        assert found.mated_ranks[number] == 1 + sum(other >= own for other in alike.values())


def whose(made: Samples, row: int) -> str:
    return str(made.people[row])


def _enrolled(made: Samples, count: int, seed: int) -> list[int]:
    from model_report.open_set import _enrolled

    rows = np.flatnonzero(_enrolled(made.person_numbers, EACH, seed))
    assert len(rows) == count
    return [int(row) for row in rows]


def test_everybody_is_enrolled_and_asked_for_whatever_they_have() -> None:
    made = samples(people=4, shots=9).named(
        np.array([f"p{p:03d}/{s}.jpg" for p in range(4) for s in range(2 + 2 * p)])
    )
    found = searches(made, EACH, "max", seed=0)
    assert found.samples == 1 + 2 + 3 + 3
    assert np.bincount(found.mated_people).tolist() == [1, 2, 3, 5]
    assert found.mated_people is found.nonmated_people


def test_figures_hold_rates_that_the_calibration_supports_and_no_others() -> None:
    held_out = samples(people=20, shots=6, seed=9)
    calibration = calibrate(held_out.vectors, held_out.person_numbers, "f" * 64)
    found = searches(samples(people=5, shots=8), EACH, calibration.fusion, seed=0)
    told = figures(found, calibration, EACH, seed=0)
    assert (told["people"], told["samples_each"], told["searches"]) == (5, 3, 25)
    assert told["rank1"] == 1.0
    strict = told["points"][-1]
    assert strict == {"target_fpir": 0.01, "supported": False}
    loose = told["points"][0]
    assert loose["supported"]
    assert loose["fpir"] == found.fpir(loose["threshold"])
    assert loose["fnir"] == found.fnir(loose["threshold"])
    low, high = loose["fpir_interval95"]
    assert low <= loose["fpir"] <= high
