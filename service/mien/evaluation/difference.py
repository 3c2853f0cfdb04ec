"""Two bundles on the same comparisons: what differs, and whether by more than chance."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from mien.evaluation.compared import ListedPairs
from mien.evaluation.contract import Difference, ends
from mien.evaluation.lfw import Decided
from mien.evaluation.samples import Samples
from mien.evaluation.trials import Rows, Trials
from mien.matching import paired
from mien.matching.metrics import eers
from mien.matching.support import smallest_fmr_of

MOST_OF_A_KIND = 50_000
"""Genuine and impostor comparisons that are tested: drawn from more, 1,000 resamples of all of
which would take hours."""

Measure = Literal["EER", "FNMR at FMR 10 %", "FNMR at FMR 1 %", "accuracy"]

STATISTICS: Sequence[tuple[Measure, paired.Statistic, float]] = (
    ("EER", eers, 1.0),
    ("FNMR at FMR 10 %", paired.fnmr_at(0.1), 0.1),
    ("FNMR at FMR 1 %", paired.fnmr_at(0.01), 0.01),
)
"""What is compared, and the FMR that the people must support for it (rule of three)."""

FEWEST_PEOPLE = 10
"""Resamples of fewer people are too alike for an interval and a p-value."""


def drawn_trials(samples: Samples, seed: int) -> Trials:
    """All comparisons of a folder of people, at most MOST_OF_A_KIND of each kind, drawn."""
    people, random = samples.person_numbers, np.random.default_rng(seed)
    first, second = np.concatenate([_genuine(people, random), _impostor(people, random)], axis=1)
    return Trials(first, second, np.zeros(len(first), np.int64), 0)


def differences(
    this: ListedPairs, other: ListedPairs, accuracy: tuple[Decided, Decided] | None, seed: int
) -> list[Difference]:
    """Of each of STATISTICS that the people support, and of accuracy where both have one."""
    smallest = smallest_fmr_of(this.people_pairs)
    supported = [(name, rate) for name, rate, fmr in STATISTICS if fmr >= smallest]
    compared = paired.compare_rates(
        this.similarities, other.similarities, this.pairs, [rate for _, rate in supported], seed
    )
    told = this.people >= FEWEST_PEOPLE
    found = [
        _section(name, difference, told=told)
        for (name, _), difference in zip(supported, compared, strict=True)
    ]
    if accuracy is not None:
        one, another = (each.correct for each in accuracy)
        if one is not None and another is not None:
            decided = paired.compare_accuracy(one, another, this.pairs, seed)
            found.append(_section("accuracy", decided, told=told))
    return found


def _section(measure: Measure, found: paired.Difference, *, told: bool) -> Difference:
    """`told`: there are people enough to tell a difference from chance."""
    return Difference(
        measure=measure,
        this=found.first,
        other=found.second,
        difference=found.value,
        difference_interval95=ends(found.interval) if told else None,
        p_value=found.p_value if told else None,
    )


def _genuine(people: Rows, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """[2, pairs] rows of two pictures of one person."""
    order = np.argsort(people, kind="stable")
    ends_of = np.searchsorted(people[order], people[order], side="right")
    counts = ends_of - np.arange(len(people)) - 1
    total = int(counts.sum())
    chosen = _chosen(total, random)
    first = np.searchsorted(np.cumsum(counts), chosen, side="right")
    second = first + 1 + chosen - (np.cumsum(counts) - counts)[first]
    return np.stack([order[first], order[second]])


def _impostor(people: Rows, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """[2, pairs] rows of pictures of two people."""
    order = np.argsort(people, kind="stable")
    ends_of = np.searchsorted(people[order], people[order], side="right")
    counts = len(people) - ends_of
    chosen = _chosen(int(counts.sum()), random)
    first = np.searchsorted(np.cumsum(counts), chosen, side="right")
    second = ends_of[first] + chosen - (np.cumsum(counts) - counts)[first]
    return np.stack([order[first], order[second]])


def _chosen(total: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Which of so many comparisons, ascending."""
    if total <= MOST_OF_A_KIND:
        return np.arange(total)
    return np.sort(random.choice(total, MOST_OF_A_KIND, replace=False, shuffle=False))
