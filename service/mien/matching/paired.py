"""Two models on the same comparisons: is the difference more than chance?

Paired bootstrap over people: both models are measured on the same resamples (`resampling`), and
the differences of the resamples give a 95 % interval (percentiles) and a two-sided p-value, twice
the smaller share of resamples on either side of no difference (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, ch. 15), never below 2/(resamples+1).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.intervals import TAIL, Interval, accuracies
from mien.matching.metrics import Rates, Similarities, eers, refuse_nan
from mien.matching.resampling import Draws, Pairs, draw

CHUNK_VALUES = 1 << 21
"""Weights of comparisons in resamples that are looked at together; 16 MiB."""

Statistic: TypeAlias = Callable[[Rates, Rates], Rates]
"""FMR and FNMR of each resample [resamples, T] in order of threshold, to one number of each."""


@dataclass(frozen=True)
class Difference:
    """The second model's rate less the first one's."""

    first: float
    second: float
    interval: Interval
    p_value: float

    @property
    def value(self) -> float:
        """Below 0 where the second model has the smaller rate."""
        return self.second - self.first


def fnmr_at(fmr: float) -> Statistic:
    """FNMR at the lowest threshold whose FMR is at most `fmr`."""

    def statistic(fmrs: Rates, fnmrs: Rates) -> Rates:
        kept = np.pad(fmrs, ((0, 0), (0, 1)))  # above every similarity nothing matches
        missed = np.pad(fnmrs, ((0, 0), (0, 1)), constant_values=1)
        return np.asarray(missed[np.arange(len(kept)), np.argmax(kept <= fmr + 1e-9, axis=1)])

    return statistic


def compare_rates(
    first: Similarities,
    second: Similarities,
    pairs: Pairs,
    statistics: Sequence[Statistic] = (eers,),
    seed: int = 0,
) -> list[Difference]:
    """Two models' similarities [M] of the same pairs, by each of `eers` and `fnmr_at(…)`.

    The curves of the resamples, which take the time, are made once for all statistics.
    """
    refuse_nan(np.stack([first, second]))
    one, other = (in_resamples(model, pairs, statistics, seed) for model in (first, second))
    return [difference(*each) for each in zip(one, other, strict=True)]


def in_resamples(
    similarities: Similarities, pairs: Pairs, statistics: Sequence[Statistic], seed: int = 0
) -> Rates:
    """[statistics, 1 + resamples]: as measured, and in resamples of the people.

    The same resamples for every model of the same pairs and `seed`.
    """
    refuse_nan(similarities)
    numbered, count = pairs.numbered()
    draws = np.c_[np.ones(count, np.float32), draw(count, seed)]
    parts = np.array_split(draws, 1 + draws.shape[1] * len(similarities) // CHUNK_VALUES, axis=1)
    values = [
        _values(_curves(similarities, numbered, part), statistics) for part in parts if part.size
    ]
    return np.concatenate(values, axis=1)


def compare_accuracy(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], pairs: Pairs, seed: int = 0
) -> Difference:
    """Which of M pairs two models decided correctly [M], each at its own thresholds."""
    measured = np.array([[first.mean()], [second.mean()]])
    one, other = np.c_[measured, accuracies([first, second], pairs, seed)]
    return difference(one, other)


def _values(curves: tuple[Rates, Rates], statistics: Sequence[Statistic]) -> Rates:
    """[statistics, resamples] of FMR and FNMR [resamples, T]."""
    return np.stack([statistic(*curves) for statistic in statistics])


def _curves(similarities: Similarities, pairs: Pairs, draws: Draws) -> tuple[Rates, Rates]:
    """FMR and FNMR [resamples, T] at each similarity that occurs."""
    order = np.argsort(similarities, kind="stable")
    weights = pairs.of(order).weights(draws).astype(float)
    same = pairs.same[order][:, None]
    starts = np.unique(similarities[order], return_index=True)[1]
    with np.errstate(invalid="ignore"):
        fnmr = _below(weights * same)[starts]
        fmr = 1 - _below(weights * ~same)[starts]
    return fmr.T, fnmr.T


def _below(weights: Rates) -> Rates:
    """The share of the weights [M, resamples] in the rows above each row."""
    total = np.cumsum(weights, axis=0)
    return np.asarray((total - weights) / total[-1])


def difference(first: Rates, second: Rates) -> Difference:
    """Of two models [1 + resamples]: as measured, and in the same resamples.

    Resamples in which either is NaN are left out.
    """
    change = (second - first)[1:]
    change = change[~np.isnan(change)]
    if np.isnan(second[0] - first[0]) or not len(change):
        raise DatasetInvalid("two models are compared on genuine and impostor pairs; give both")
    low, high = np.quantile(change, [TAIL, 1 - TAIL]).tolist()
    beyond = min((change <= 0).sum(), (change >= 0).sum())
    p_value = min(1.0, 2 * (1 + int(beyond)) / (1 + len(change)))
    return Difference(float(first[0]), float(second[0]), Interval(low, high), p_value)
