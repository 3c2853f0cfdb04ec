"""Error rates of groups of people at the one threshold that is deployed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mien.errors import DatasetInvalid
from mien.matching.intervals import TAIL, Interval, interval
from mien.matching.metrics import People, Rates, Vectors, cross_compare
from mien.matching.resampling import resample_rates


@dataclass(frozen=True)
class Rate:
    """An error rate and its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Group:
    """Comparisons within one group: both people of an impostor comparison belong to it."""

    name: str
    people: int
    images: int
    genuine_comparisons: int
    impostor_comparisons: int
    fmr: Rate | None
    """None without an impostor comparison."""
    fnmr: Rate | None
    """None without a genuine comparison."""


@dataclass(frozen=True)
class Ratio:
    """The highest rate of a group by the lowest, with a 95 % interval."""

    worst: str
    best: str
    value: float | None
    """None where the lowest rate is 0: the ratio is not defined."""
    low: float
    """Where `value` is None: the lower end of the worst rate by the upper end of the best, which
    the rule of three keeps above 0."""
    high: float | None
    """None where nothing bounds it: the lowest rate is 0 in more than 2.5 % of the resamples."""


@dataclass(frozen=True)
class Groups:
    """Of one column, in order of name. A ratio is None with fewer than two groups that have it."""

    threshold: float
    groups: list[Group]
    fmr_ratio: Ratio | None
    fnmr_ratio: Ratio | None


@dataclass(frozen=True)
class _Measured:
    """A rate of a group, and its values in resamples [resamples]; NaN where one has none."""

    name: str
    rate: Rate
    resampled: Rates


def compare_groups(
    vectors: Vectors, people: People, names: Sequence[str], threshold: float, seed: int = 0
) -> Groups:
    """FMR and FNMR within each group of N vectors [N, D]; `names` [N] is the group of each.

    Intervals by resampling the people of each group on their own. In the interval of a ratio the
    two groups stay those that are worst and best on all the data: it does not tell how sure it is
    which groups these are.

    Raises DatasetInvalid if a person is in two groups.
    """
    _refuse_divided(people, names)
    labels = np.asarray(names, str)
    groups, fmrs, fnmrs = [], [], []
    for at, name in enumerate(np.unique(labels).tolist()):
        chosen = labels == name
        fmr, fnmr = _measure(vectors[chosen], people[chosen], name, threshold, seed + at)
        genuine, impostor = _counts(people[chosen])
        known = len(np.unique(people[chosen]))
        groups.append(
            Group(
                name=name,
                people=known,
                images=int(chosen.sum()),
                genuine_comparisons=genuine,
                impostor_comparisons=impostor,
                fmr=fmr.rate if fmr else None,
                fnmr=fnmr.rate if fnmr else None,
            )
        )
        fmrs += [fmr] if fmr else []
        fnmrs += [fnmr] if fnmr else []
    return Groups(threshold, groups, _ratio(fmrs), _ratio(fnmrs))


def _refuse_divided(people: People, names: Sequence[str]) -> None:
    """Somebody in two groups."""
    pairs = sorted({*zip(people.tolist(), names, strict=True)})
    for (person, group), (other, another) in pairwise(pairs):
        if person == other:
            raise DatasetInvalid(
                f"person {person} is in the groups {group!r} and {another!r}; put everybody in one"
            )


def _measure(
    vectors: Vectors, people: People, name: str, threshold: float, seed: int
) -> tuple[_Measured | None, _Measured | None]:
    """FMR and FNMR of one group, where it has such comparisons."""
    at = np.array([threshold], np.float32)
    resampled = resample_rates(vectors, people, at, seed)
    comparisons = cross_compare(vectors, people)
    fmr = fnmr = None
    if resampled.impostor_pairs:
        samples, n = resampled.fmr[:, 0], resampled.impostor_pairs
        rate = Rate(comparisons.fmr(threshold), interval(samples, n))
        fmr = _Measured(name, rate, samples)
    if resampled.genuine_people:
        samples, n = resampled.fnmr[:, 0], resampled.genuine_people
        rate = Rate(comparisons.fnmr(threshold), interval(samples, n))
        fnmr = _Measured(name, rate, samples)
    return fmr, fnmr


def _counts(people: People) -> tuple[int, int]:
    """Genuine and impostor comparisons among these."""
    sizes = np.unique(people, return_counts=True)[1]
    genuine = int((sizes * (sizes - 1) // 2).sum())
    return genuine, len(people) * (len(people) - 1) // 2 - genuine


def _ratio(measured: Sequence[_Measured]) -> Ratio | None:
    if len(measured) < 2:
        return None
    best, *_, worst = sorted(measured, key=lambda one: one.rate.value)
    if best.rate.value == 0:
        low = worst.rate.interval.low / best.rate.interval.high
        return Ratio(worst.name, best.name, None, low, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = worst.resampled / best.resampled
    ratios = ratios[~np.isnan(ratios)]
    low, high = np.quantile(ratios, [TAIL, 1 - TAIL], method="inverted_cdf").tolist()
    value = worst.rate.value / best.rate.value
    return Ratio(worst.name, best.name, value, low, high if np.isfinite(high) else None)
