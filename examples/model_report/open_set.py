"""Open-set searches in which everybody is enrolled, and everybody is a stranger once.

Each probe searches the gallery of all N people, as somebody who is enrolled, and then that of the
N - 1 others, as a stranger. So no people are lost to a gallery that is to be as large as can be.
"""

from typing import Any

import numpy as np

from mien.errors import UnsupportedOperatingPoint
from mien.evaluation.contract import ends
from mien.evaluation.samples import Samples
from mien.matching.calibration import Calibration
from mien.matching.decision import TargetFPIR, best_of, decide
from mien.matching.fusion import Rule, fuse
from mien.matching.identification import Searches
from mien.matching.metrics import People

FPIRS = (0.3, 0.1, 0.01)
"""That are asked for."""


def searches(samples: Samples, each: int, rule: Rule, seed: int) -> Searches:
    """Enrol `each` pictures of everybody, or half of what there are if that is less; ask for the
    rest."""
    people = samples.person_numbers
    enrolled = _enrolled(people, each, seed)
    probes, owners = samples.vectors[~enrolled], people[~enrolled]
    alike = fuse(probes @ samples.vectors[enrolled].T, people[enrolled], rule)
    rows, columns = np.arange(len(probes)), np.searchsorted(np.unique(people[enrolled]), owners)
    own = alike[rows, columns]
    others = alike.copy()
    others[rows, columns] = -np.inf
    return Searches(
        subjects=alike.shape[1],
        samples=int(enrolled.sum()),
        mated_people=owners,
        mated_similarities=own,
        mated_ranks=(alike >= own[:, None]).sum(1),
        nonmated_people=owners,
        nonmated_best=others.max(1),
    )


def figures(found: Searches, calibration: Calibration, each: int, seed: int) -> dict[str, Any]:
    """What the calibration expects at each of FPIRS that it supports, and what came of it."""
    (rank1,), (interval,) = found.cmc(1), found.cmc_intervals(1, seed)
    return {
        "people": found.subjects,
        "samples_each": each,
        "searches": len(found.mated_people),
        "rank1": rank1,
        "rank1_interval95": ends(interval),
        "points": [_point(found, calibration, each, fpir, seed) for fpir in FPIRS],
    }


def _point(
    found: Searches, calibration: Calibration, each: int, fpir: float, seed: int
) -> dict[str, Any]:
    try:
        decision = decide(TargetFPIR(fpir), calibration, found.subjects - 1, each)
    except UnsupportedOperatingPoint:
        return {"target_fpir": fpir, "supported": False}
    threshold, measured = decision.threshold, decision.measured
    assert measured
    return {
        "target_fpir": fpir,
        "supported": True,
        "threshold": threshold,
        "expected_fpir_upper95": best_of(measured.fmr_upper95, decision.chances),
        "fpir": found.fpir(threshold),
        "fpir_interval95": ends(found.fpir_intervals([threshold], seed)[0]),
        "fnir": found.fnir(threshold),
        "fnir_interval95": ends(found.fnir_intervals([threshold], seed)[0]),
    }


def _enrolled(people: People, each: int, seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of the samples; of everybody at least one is not, where there are two."""
    shuffled = np.random.default_rng(seed).permutation(len(people))
    chosen = np.zeros(len(people), dtype=bool)
    for person in np.unique(people):
        own = shuffled[people[shuffled] == person]
        chosen[own[: max(1, min(each, len(own) // 2))]] = True
    return chosen
