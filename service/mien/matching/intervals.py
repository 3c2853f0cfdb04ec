"""95 % intervals of error rates, from resampling people.

They are percentiles of the resamples, which are a little narrow where people are few: with strong
differences between people, intervals over 30 people held the true rate in 88 to 92 % of 400
simulated data sets, and over 200 people in 94 to 95 % of 80 (tests/matching/test_intervals.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.metrics import (
    Comparisons,
    People,
    Rates,
    Similarities,
    Vectors,
    aucs,
    eers,
)
from mien.matching.resampling import (
    CHUNK,
    Pairs,
    ResampledRates,
    draw,
    resample_pairs,
    resample_rates,
)
from mien.matching.support import RULE_OF_THREE

TAIL = 0.025
EER_POINTS, EER_REACH = 32, 8
"""The EER of a resample is sought at so many rates, from an eighth to eight times the measured, of
genuine and of impostor comparisons. On eight made data sets of 15 to 200 people this moved an end
of the interval by 1 % of its width on average, at most 3.7 %, from where 256 rates have it; another
seed moved it by 3.6 %, at most 8.8 %."""
AUC_POINTS = 16
"""For the area the rest of the curve is drawn at so many evenly spaced rates of either kind. On six
of these data sets this moved an end by at most 1.4 % of its width from where 64 rates have it."""


@dataclass(frozen=True)
class Interval:
    """Both ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class RateIntervals:
    """Of both error rates at one threshold."""

    threshold: float
    fmr: Interval
    fnmr: Interval


@dataclass(frozen=True)
class CurveIntervals:
    """Of a whole curve and of some of its points, all from the same resamples."""

    eer: Interval
    auc: Interval
    rates: list[RateIntervals]
    """In the order of the thresholds that were asked for."""


def rate_intervals(
    vectors: Vectors, people: People, thresholds: Sequence[float], seed: int = 0
) -> list[RateIntervals]:
    """Intervals of FMR and FNMR at each threshold, over all comparisons of N vectors [N, D].

    By resampling people (`resampling`). No upper end of FMR is below the rule of three on pairs of
    people, none of FNMR below that on people who were compared with themselves: a few people may
    happen to show no error, and resampling those few never shows one.

    Raises DatasetInvalid with fewer than two people or without a genuine comparison.
    """
    at, places = np.unique(np.asarray(thresholds, np.float32), return_inverse=True)
    found = _intervals(at, resample_rates(vectors, people, at, seed))
    return [found[place] for place in places]


def accuracy_interval(correct: npt.NDArray[np.bool_], pairs: Pairs, seed: int = 0) -> Interval:
    """Of the share of M given comparisons [M] that were decided correctly."""
    people = len(np.unique(np.concatenate([pairs.first, pairs.second])))
    return interval(accuracies([correct], pairs, seed)[0], people)


def accuracies(corrects: Sequence[npt.NDArray[np.bool_]], pairs: Pairs, seed: int) -> Rates:
    """[len(corrects), resamples]: the accuracy of each in each resample, the same resamples."""
    numbered, count = pairs.numbered()
    draws, right = draw(count, seed), np.stack(corrects).astype(np.float32)
    totals, compared = np.zeros((len(right), draws.shape[1])), np.zeros(draws.shape[1])
    for start in range(0, right.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        weights = numbered.of(part).weights(draws)
        totals += right[:, part] @ weights
        compared += weights.sum(0)
    with np.errstate(invalid="ignore"):
        return np.asarray(totals / compared)


def curve_intervals(
    vectors: Vectors,
    people: People,
    comparisons: Comparisons,
    thresholds: Sequence[float],
    seed: int = 0,
) -> CurveIntervals:
    """Of EER, AUC and the rates at each threshold, from one pass over all comparisons.

    `comparisons` are those of the N vectors [N, D] (`cross_compare`). Raises as `rate_intervals`.
    """
    drawn = drawn_at(comparisons)
    at = _union(drawn, thresholds)
    return _curve_intervals(at, resample_rates(vectors, people, at, seed), drawn, thresholds)


def pair_curve_intervals(
    similarities: Similarities,
    pairs: Pairs,
    comparisons: Comparisons,
    thresholds: Sequence[float],
    seed: int = 0,
) -> CurveIntervals:
    """The same over M given comparisons [M], as in a list of pairs."""
    drawn = drawn_at(comparisons)
    at = _union(drawn, thresholds)
    return _curve_intervals(at, resample_pairs(similarities, pairs, at, seed), drawn, thresholds)


def drawn_at(comparisons: Comparisons) -> Similarities:
    """Where the curves of resamples are taken, float32, ascending; whatever else is asked for."""
    return np.unique(np.concatenate([around_eer(comparisons), along(comparisons)]))


def _union(drawn: Similarities, thresholds: Sequence[float]) -> Similarities:
    return np.union1d(drawn, np.asarray(thresholds, np.float32))


def _curve_intervals(
    at: Similarities,
    resampled: ResampledRates,
    drawn: Similarities,
    thresholds: Sequence[float],
) -> CurveIntervals:
    curves = resampled.at(np.searchsorted(at, drawn))
    error = interval(1 - aucs(curves.fmr, curves.fnmr), curves.genuine_people)
    asked = np.searchsorted(at, np.asarray(thresholds, np.float32))
    return CurveIntervals(
        eer=interval(eers(curves.fmr, curves.fnmr), curves.genuine_people),
        auc=Interval(1 - error.high, 1 - error.low),
        rates=_intervals(at[asked], resampled.at(asked)),
    )


def around_eer(comparisons: Comparisons) -> Similarities:
    """Thresholds [about 40], float32, ascending, at FMRs and FNMRs around the EER."""
    middle = max(comparisons.eer(), 1 / len(comparisons.genuine), 1 / len(comparisons.impostor))
    rates = np.clip(np.geomspace(middle / EER_REACH, middle * EER_REACH, EER_POINTS), 0, 1)
    return _at_rates(comparisons, rates)


def along(comparisons: Comparisons) -> Similarities:
    """Thresholds [about 32], float32, ascending, at FMRs and FNMRs from 0 to 1."""
    return _at_rates(comparisons, np.linspace(0, 1, AUC_POINTS))


def _at_rates(comparisons: Comparisons, rates: Rates) -> Similarities:
    """Where either rate is about each of `rates` [R]; float32 [up to 2R], ascending."""
    at_genuines = quantiles(comparisons.genuine, rates)
    at_impostors = quantiles(comparisons.impostor, 1 - rates)
    return np.unique(np.concatenate([at_genuines, at_impostors]).astype(np.float32))


def quantiles(ascending: Similarities, shares: Rates) -> Rates:
    """What np.quantile gives of [N] sorted values at shares [S], linearly between two neighbours.

    np.quantile copies the values first, of which there may be 2e8; these are looked up.
    """
    places = np.asarray(shares) * (len(ascending) - 1)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, len(ascending) - 1)
    below, above = ascending[low].astype(float), ascending[high].astype(float)
    return np.asarray(below + (above - below) * (places - low))


def interval(resampled: Rates, independent: int) -> Interval:
    """Of a rate, from its values in resamples; NaN where a resample has none.

    Widened by the rule of three on so many `independent` trials, at both ends.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known) or not independent:
        raise DatasetInvalid(
            "a rate has no comparison to come from; give pictures of two people at least, and two "
            "pictures of one of them"
        )
    bound = min(1.0, RULE_OF_THREE / independent)
    low, high = np.quantile(known, [TAIL, 1 - TAIL])
    return Interval(min(float(low), 1 - bound), max(float(high), bound))


def _intervals(thresholds: Similarities, resampled: ResampledRates) -> list[RateIntervals]:
    return [
        RateIntervals(
            threshold=float(threshold),
            fmr=interval(fmr, resampled.impostor_pairs),
            fnmr=interval(fnmr, resampled.genuine_people),
        )
        for threshold, fmr, fnmr in zip(thresholds, resampled.fmr.T, resampled.fnmr.T, strict=True)
    ]
