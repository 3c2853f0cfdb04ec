"""Is the difference between two settings more than chance? Paired bootstrap, as
`mien.matching.paired`: both settings are measured on the same resamples.

With several seeds the fits are drawn with replacement too, the two fits of a seed together: the
difference is then of what the settings give, not of these fits (crossed factors, each resampled by
itself: Owen, "The pigeonhole bootstrap", 2007). Three or five seeds can say little about chance
between fits, and an interval over seeds alone is too narrow for so few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.matching import paired
from mien.matching.metrics import Rates
from mien.matching.resampling import draw
from mien_training.lab.record import Comparison
from mien_training.lab.verification import Verified

FITS_SEED = 1
"""Of the draws of fits; those of units have another, so that both are independent."""
PER_CENT = 100


@dataclass(frozen=True)
class Between:
    """What is compared: a figure by its name in the tables, and two settings."""

    figure: str
    first: str
    second: str


def of_units(
    between: Between, first: npt.ArrayLike, second: npt.ArrayLike, units: str, scale: float = 1
) -> Comparison:
    """Means of values of the same units, [U], or [fits, U] with units the same in every fit.

    Units are what chance could have drawn otherwise: test pictures, or seeds where U is over fits.
    `scale` turns the values into the figure's unit.
    """
    one, other = (np.atleast_2d(np.asarray(each, dtype=np.float64)) for each in (first, second))
    _refuse_unlike(one.shape, other.shape)
    fits, count = one.shape
    return _comparison(
        between, scale * _means(one), scale * _means(other), _resampled(units, count, fits)
    )


def of_eers(between: Between, first: Sequence[Verified], second: Sequence[Verified]) -> Comparison:
    """Mean equal error rates in per cent of fits of two settings, on the same pairs of people."""
    _refuse_unlike(*([len(fit.similarities) for fit in fits] for fits in (first, second)))
    weights = _fit_weights(len(first))
    one, other = (
        PER_CENT * (weights * np.stack([fit.resampled_eers for fit in fits])).sum(axis=0)
        for fits in (first, second)
    )
    _, people = first[0].pairs.numbered()
    return _comparison(between, one, other, _resampled("people", people, len(first)))


def _means(values: Rates) -> Rates:
    """Of [fits, U]: as measured, and in resamples of both; [1 + resamples]."""
    drawn = np.c_[np.ones(values.shape[1]), draw(values.shape[1], seed=0)]
    by_fit = values @ drawn / values.shape[1]
    return np.asarray((_fit_weights(len(values)) * by_fit).sum(axis=0))


def _fit_weights(fits: int) -> Rates:
    """[fits, 1 + resamples], each resample's add up to 1."""
    return np.asarray(np.c_[np.ones(fits), draw(fits, FITS_SEED)] / fits)


def _comparison(between: Between, first: Rates, second: Rates, resampled: str) -> Comparison:
    found = paired.difference(first, second)
    return Comparison(
        figure=between.figure,
        first=between.first,
        second=between.second,
        first_value=found.first,
        second_value=found.second,
        difference=found.value,
        low=found.interval.low,
        high=found.interval.high,
        p_value=found.p_value,
        resampled=resampled,
    )


def _refuse_unlike(first: Sequence[int], second: Sequence[int]) -> None:
    if first != second:
        raise ValueError(
            f"two settings are compared on the same units and fits, not on {first} and {second}; "
            "measure both on all"
        )


def _resampled(units: str, count: int, fits: int) -> str:
    return f"{count} {units}" + (f" and {fits} seeds" if fits > 1 else "")
