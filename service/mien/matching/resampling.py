"""Resampling identities, since comparisons of one person depend on each other.

The subsets bootstrap: people are drawn with replacement. A genuine comparison counts as often as
its person was drawn, an impostor comparison as often as both of its people were: the product of
their draw counts. Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the
subsets bootstrap", CVIU 93 (2004).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.metrics import People, Rates, Similarities, Vectors, refuse_nan, triangle

RESAMPLES = 1000
CHUNK = 4096
"""Comparisons that are weighted together; 16 MiB at 1,000 resamples."""
DENSE = 256
"""Looking a comparison up takes as long as so many cells of a matrix of pairs of people."""

Draws: TypeAlias = npt.NDArray[np.float32]
"""float32 [people, resamples]: how often each was drawn."""
Bins: TypeAlias = npt.NDArray[np.uint16]
"""Of each similarity: how many of the thresholds, in ascending order, it is at or above."""
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
    genuine = np.zeros((len(sizes), bins))
    impostor = np.zeros((draws.shape[1], bins))
    for start, block in triangle(vectors[order]):
        refuse_nan(block)
        bin_of = np.searchsorted(thresholds, block, side="right").astype(np.uint16)
        _take_genuine(bin_of, owners[start:], genuine)
        for at, pairs in _pairs_by_bin(bin_of, owners[start:], bins):
            impostor[:, at] += impostor_weight(pairs, draws)
    impostor[:, 0] = _compared(draws, sizes) - impostor.sum(1)
    return ResampledRates(
        fmr=matching_share(impostor),
        fnmr=1 - matching_share(draws.T.astype(float) @ genuine),
        impostor_pairs=comb(len(sizes), 2),
        genuine_people=int((sizes > 1).sum()),
    )


def _take_genuine(bin_of: Bins, owners: Indices, genuine: Totals) -> None:
    """Count genuine comparisons of a block into [people, bins]; leave 0 for all but impostor ones.

    The block's first row is its first column; `owners` of its columns ascend.
    """
    ends = np.searchsorted(owners, owners[: len(bin_of)], side="right")
    for row, end in enumerate(ends.tolist()):
        genuine[owners[row]] += np.bincount(bin_of[row, row + 1 : end], minlength=genuine.shape[1])
        bin_of[row, :end] = 0


def _pairs_by_bin(bin_of: Bins, owners: Indices, bins: int) -> Iterator[tuple[int, Pairs]]:
    """Who was compared with whom in each bin of a block but the lowest, often the largest."""
    places = np.flatnonzero(bin_of)
    filled = bin_of.ravel()[places]
    rows, columns = np.divmod(places[np.argsort(filled, kind="stable")], bin_of.shape[1])
    pairs = Pairs(owners[rows], owners[columns])
    ends = np.cumsum(np.bincount(filled, minlength=bins))
    for at in range(1, bins):
        if ends[at] > ends[at - 1]:
            yield at, pairs.of(slice(ends[at - 1], ends[at]))


def impostor_weight(pairs: Pairs, draws: Draws) -> Totals:
    """[resamples]: how often impostor comparisons count, summed over them.

    Where many of the possible pairs of people occur, one matrix product of their counts with the
    draws is faster than to look up every comparison.
    """
    rows, columns = _span(pairs.first), _span(pairs.second)
    shape = rows.stop - rows.start, columns.stop - columns.start
    if len(pairs.first) * DENSE < shape[0] * shape[1]:
        return _looked_up(pairs, draws)
    cells = (pairs.first - rows.start) * shape[1] + pairs.second - columns.start
    counts = np.bincount(cells, minlength=shape[0] * shape[1]).astype(np.float32)
    by_row = counts.reshape(shape) @ draws[columns]
    return np.asarray((by_row * draws[rows]).sum(0, dtype=np.float64))


def _span(people: Indices) -> slice:
    return slice(int(people.min()), int(people.max()) + 1)


def _compared(draws: Draws, sizes: Indices) -> Totals:
    """[resamples]: the weight of all impostor comparisons of people with so many pictures."""
    pictures = draws.T.astype(float) * sizes
    return np.asarray((pictures.sum(1) ** 2 - (pictures**2).sum(1)) / 2)


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


def _looked_up(pairs: Pairs, draws: Draws) -> Totals:
    total = np.zeros(draws.shape[1])
    for start in range(0, len(pairs.first), CHUNK):
        total += pairs.of(slice(start, start + CHUNK)).weights(draws).sum(0, dtype=np.float64)
    return total


def matching_share(totals: Totals) -> Rates:
    """Totals by bin [resamples, T+1] to the share at or above each threshold [resamples, T]."""
    at_or_above = np.cumsum(totals[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):  # a resample may hold no such comparison
        return np.asarray(at_or_above[:, 1:] / at_or_above[:, :1])
