"""Resampling identities, since comparisons of one person depend on each other.

The subsets bootstrap: people are drawn with replacement. A genuine comparison counts as often as
its person was drawn, an impostor comparison as often as both of its people were: the product of
their draw counts. Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the
subsets bootstrap", CVIU 93 (2004).
"""

from dataclasses import dataclass
from math import comb
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.metrics import People, Rates, Similarities, Vectors, triangle

RESAMPLES = 1000
CHUNK = 4096
"""Comparisons that are weighted together; 16 MiB at 1,000 resamples."""

Draws: TypeAlias = npt.NDArray[np.float32]
"""float32 [people, resamples]: how often each was drawn."""
Indices: TypeAlias = npt.NDArray[np.int64]
Totals: TypeAlias = npt.NDArray[np.float64]
"""float64 [resamples, ...]: weighted sums."""


@dataclass(frozen=True)
class Pairs:
    """Who was compared with whom in M comparisons; with oneself it is a genuine one."""

    first: People
    second: People

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """[M], genuine."""
        return np.asarray(self.first == self.second)

    def of(self, chosen: npt.NDArray[np.bool_] | Indices) -> "Pairs":
        """Some of them."""
        return Pairs(self.first[chosen], self.second[chosen])

    def distinct(self) -> int:
        """How many pairs of people, in either order."""
        ends = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        return len(np.unique(np.stack(ends), axis=1).T)

    def numbered(self) -> tuple["Pairs", int]:
        """The same with people 0, 1, 2 …, and how many they are; fewer than two are refused."""
        known = np.unique(np.concatenate([self.first, self.second]))
        if len(known) < 2:
            raise DatasetInvalid(
                f"the comparisons are of {len(known)} people; intervals need two at least"
            )
        numbers = (np.searchsorted(known, people) for people in (self.first, self.second))
        return Pairs(*numbers), len(known)

    def weights(self, draws: Draws) -> Draws:
        """[M, resamples]: how often each counts; its people, numbered, are rows of `draws`."""
        second = np.where(self.same[:, None], np.float32(1), draws[self.second])
        return np.asarray(draws[self.first] * second)


@dataclass(frozen=True)
class ResampledRates:
    """FMR and FNMR of each resample at each threshold, float64 [resamples, T].

    NaN in a resample that happens to hold no such comparison.
    """

    fmr: Rates
    fnmr: Rates
    impostor_pairs: int
    """Pairs of people who were compared."""
    genuine_people: int
    """People who were compared with themselves."""


def draw(people: int, seed: int, resamples: int = RESAMPLES) -> Draws:
    """How often each of so many people is drawn, in so many resamples of as many people."""
    drawn = np.random.default_rng(seed).integers(people, size=(resamples, people))
    counts = [np.bincount(one, minlength=people) for one in drawn]
    return np.stack(counts, axis=1).astype(np.float32)


def resample_rates(
    vectors: Vectors, people: People, thresholds: Similarities, seed: int
) -> ResampledRates:
    """FMR and FNMR over all comparisons of N vectors [N, D], in each resample of their people.

    `thresholds` float32 [T], ascending. By blocks: N x N similarities are never held.
    """
    order = np.argsort(people, kind="stable")
    owners = np.unique(people[order], return_inverse=True)[1]
    count = int(owners[-1]) + 1
    draws = draw(count, seed)
    bins = len(thresholds) + 1
    impostor = np.zeros((draws.shape[1], bins))
    genuine = np.zeros((count, bins))
    for start, block in triangle(vectors[order]):
        columns = owners[start:]
        rows = columns[: len(block)]
        later = np.arange(len(columns)) > np.arange(len(block))[:, None]
        own = (rows[:, None] == columns) & later
        bin_of = np.searchsorted(thresholds, block, side="right")
        row, column = np.nonzero(own)
        np.add.at(genuine, (rows[row], bin_of[row, column]), 1)
        for at in range(bins):
            row, column = np.nonzero((bin_of == at) & later & ~own)
            impostor[:, at] += _weighted(draws, rows[row], columns[column])
    return ResampledRates(
        fmr=_matching_share(impostor),
        fnmr=1 - _matching_share(draws.T.astype(float) @ genuine),
        impostor_pairs=comb(count, 2),
        genuine_people=int((genuine.sum(1) > 0).sum()),
    )


def resample_pairs(
    similarities: Similarities, pairs: Pairs, thresholds: Similarities, seed: int
) -> ResampledRates:
    """FMR and FNMR over M given comparisons [M], in each resample of the people in them.

    `thresholds` float32 [T], ascending.
    """
    bins = len(thresholds) + 1
    bin_of = np.searchsorted(thresholds, similarities, side="right")
    numbered, count = pairs.numbered()
    draws, same = draw(count, seed), pairs.same
    genuine, impostor = (
        _by_bin(numbered.of(kind), bin_of[kind], draws, bins) for kind in (same, ~same)
    )
    return ResampledRates(
        fmr=_matching_share(impostor),
        fnmr=1 - _matching_share(genuine),
        impostor_pairs=numbered.of(~same).distinct(),
        genuine_people=numbered.of(same).distinct(),
    )


def _by_bin(pairs: Pairs, bin_of: Indices, draws: Draws, bins: int) -> Totals:
    """[resamples, bins]: the weights of the pairs in each bin, summed."""
    sums = np.zeros((draws.shape[1], bins))
    for start in range(0, len(bin_of), CHUNK):
        part = np.arange(start, min(start + CHUNK, len(bin_of)))
        sums += pairs.of(part).weights(draws).T @ np.eye(bins, dtype=np.float32)[bin_of[part]]
    return sums


def _weighted(draws: Draws, first: People, second: People) -> Totals:
    """[resamples]: the weights of impostor comparisons, summed."""
    total = np.zeros(draws.shape[1])
    for start in range(0, len(first), CHUNK):
        part = slice(start, start + CHUNK)
        total += np.einsum("nb,nb->b", draws[first[part]], draws[second[part]])
    return total


def _matching_share(totals: Totals) -> Rates:
    """Totals by bin [resamples, T+1] to the share at or above each threshold [resamples, T]."""
    at_or_above = np.cumsum(totals[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        return np.asarray(at_or_above[:, 1:] / at_or_above[:, :1])
