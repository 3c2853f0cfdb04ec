"""How much likelier a similarity is for one person than for two."""

import math
from collections.abc import Iterable

import numpy as np

from mien.matching.metrics import Rates


def log10_ratios(
    genuine: Iterable[float], impostor: Iterable[float], smallest_fnmr: float, smallest_fmr: float
) -> list[float]:
    """Decimal log-likelihood ratios of bins of similarity, from low to high: they never fall.

    `genuine` and `impostor` are the shares of either kind of comparison that fell into each bin.
    Adjacent bins whose ratio would fall are pooled (pool adjacent violators), which is the isotonic
    regression of the posterior, less the prior (Brümmer and du Preez 2006).

    Bounded by what the people can show (`mien.matching.support`): a share of genuine comparisons
    below `smallest_fnmr` counts as that, and so does one of impostor comparisons below
    `smallest_fmr`. So no ratio is above 1 / smallest_fmr or below smallest_fnmr, and none infinite.
    """
    lowest, highest = math.log10(smallest_fnmr), -math.log10(smallest_fmr)
    return [
        min(max(_log10(g) - _log10(i), lowest), highest) if g or i else 0.0
        for g, i, bins in _pooled(genuine, impostor)
        for _ in range(bins)
    ]


def shares(below: Rates) -> list[float]:
    """What lies from each threshold up to the next one, from the share below each [T]."""
    return [float(share) for share in np.diff(below, append=1.0)]


def _pooled(genuine: Iterable[float], impostor: Iterable[float]) -> list[tuple[float, float, int]]:
    """Pools of bins, with the shares of each and how many bins it is of; their ratios rise."""
    pools: list[tuple[float, float, int]] = []
    for pair in zip(genuine, impostor, strict=True):
        g, i, bins = *pair, 1
        while pools and pools[-1][0] * i >= g * pools[-1][1]:
            before = pools.pop()
            g, i, bins = g + before[0], i + before[1], bins + before[2]
        pools.append((g, i, bins))
    return pools


def _log10(share: float) -> float:
    return math.log10(share) if share > 0 else -math.inf
