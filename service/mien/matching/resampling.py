"""Resampling identities, since comparisons of one person depend on each other.

The subsets bootstrap: people are drawn with replacement. A genuine comparison counts as often as
its person was drawn, an impostor comparison as often as both of its people were: the product of
their draw counts. Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the
subsets bootstrap", CVIU 93 (2004).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import comb
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.metrics import People, Rates, Similarities, Vectors, refuse_nan, triangle

RESAMPLES = 1000
CHUNK = 4096
"""Comparisons that are weighted together; 16 MiB at 1,000 resamples."""
CELLS = 1 << 22
"""Counts, by bin and pair of people, that are weighted together; 16 MiB."""

Draws: TypeAlias = npt.NDArray[np.float32]
"""float32 [people, resamples]: how often each was drawn."""
Counts: TypeAlias = npt.NDArray[np.float32]
"""float32 [P, bins, people]: comparisons of each of P people with each of all, by bin. The bin of a
similarity is how many of the thresholds, in ascending order, it is at or above."""
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

    def of(self, chosen: npt.NDArray[np.bool_] | Indices | slice) -> "Pairs":
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

    def at(self, places: Indices) -> "ResampledRates":
        """Some of the thresholds."""
        return replace(self, fmr=self.fmr[:, places], fnmr=self.fnmr[:, places])


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
    owners, sizes = np.unique(people[order], return_inverse=True, return_counts=True)[1:]
    draws, bins = draw(len(sizes), seed), len(thresholds) + 1
    genuine = np.zeros((bins, len(sizes)))
    impostor = np.zeros((bins, draws.shape[1]))
    for start, block in triangle(vectors[order]):
        refuse_nan(block)
        for first, counts in _counted(block, owners[start:], thresholds, len(sizes)):
            genuine[:, first : first + len(counts)] += _own(counts)
            impostor += impostor_weight(counts, draws[first:])
    return ResampledRates(
        fmr=matching_share(impostor.T),
        fnmr=1 - matching_share((genuine @ draws.astype(float)).T),
        impostor_pairs=comb(len(sizes), 2),
        genuine_people=int((sizes > 1).sum()),
    )


def _counted(
    block: Similarities, owners: Indices, thresholds: Similarities, people: int
) -> Iterator[tuple[int, Counts]]:
    """Comparisons of a block of `triangle` by bin: the first of some people, and their counts.

    The block's first row is its first column; `owners` of its columns ascend, and are below
    `people`. So many people at a time as have CELLS of counts together.
    """
    rows = owners[: len(block)]
    first = int(rows[0])
    while first <= rows[-1]:
        shape = len(thresholds) + 1, people - first
        last = min(first + max(1, CELLS // (shape[0] * shape[1])), int(rows[-1]) + 1)
        counts = np.empty((last - first, *shape), np.float32)
        for at, person in enumerate(range(first, last)):
            start, end = np.searchsorted(rows, [person, person + 1]).tolist()
            others = owners[start:] - first
            counts[at] = _table(block[start:end, start:], others, thresholds, shape)
        yield first, counts
        first = last


def _table(
    similarities: Similarities, owners: Indices, thresholds: Similarities, shape: tuple[int, int]
) -> Indices:
    """How many comparisons of one person's pictures there are, by bin and by the other's owner.

    The first row is the first column; each comparison is counted once, and none with itself.
    """
    cells = np.searchsorted(thresholds, similarities, side="right") * shape[1] + owners
    table = np.bincount(cells.ravel(), minlength=shape[0] * shape[1])
    table -= np.bincount(cells[np.tril_indices_from(cells)], minlength=len(table))
    return table.reshape(shape)


def _own(counts: Counts) -> Totals:
    """[bins, P]: take the genuine comparisons out of the counts of P people."""
    people = np.arange(len(counts))
    genuine = counts[people, :, people].T.astype(float)
    counts[people, :, people] = 0
    return genuine


def impostor_weight(counts: Counts, draws: Draws) -> Totals:
    """[bins, resamples]: how often impostor comparisons count, summed over them.

    Counts of the first P people of the draws with everybody there.
    """
    others = counts.reshape(-1, counts.shape[2]) @ draws
    weighted = others.reshape(*counts.shape[:2], -1) * draws[: len(counts), None]
    return np.asarray(weighted.sum(0, dtype=np.float64))


def resample_pairs(
    similarities: Similarities, pairs: Pairs, thresholds: Similarities, seed: int
) -> ResampledRates:
    """FMR and FNMR over M given comparisons [M], in each resample of the people in them.

    `thresholds` float32 [T], ascending.
    """
    refuse_nan(similarities)
    bins = len(thresholds) + 1
    bin_of = np.searchsorted(thresholds, similarities, side="right")
    numbered, count = pairs.numbered()
    draws, same = draw(count, seed), pairs.same
    genuine, impostor = (
        _by_bin(numbered.of(kind), bin_of[kind], draws, bins) for kind in (same, ~same)
    )
    return ResampledRates(
        fmr=matching_share(impostor),
        fnmr=1 - matching_share(genuine),
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


def matching_share(totals: Totals) -> Rates:
    """Totals by bin [resamples, T+1] to the share at or above each threshold [resamples, T]."""
    at_or_above = np.cumsum(totals[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):  # a resample may hold no such comparison
        return np.asarray(at_or_above[:, 1:] / at_or_above[:, :1])
