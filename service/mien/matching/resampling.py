"""Resampling identities, since comparisons of one person depend on each other.

The subsets bootstrap: people are drawn with replacement. A genuine comparison counts as often as
its person was drawn, an impostor comparison as often as both of its people were: the product of
their draw counts. Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the
subsets bootstrap", CVIU 93 (2004); Poh, Martin and Bengio (2007) for pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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
Totals: TypeAlias = npt.NDArray[np.float64]
"""float64 [resamples, ...]: weighted sums."""


@dataclass(frozen=True)
class ResampledRates:
    """FMR and FNMR of each resample at each threshold, float64 [resamples, T].

    NaN in a resample that happens to hold no such comparison.
    """

    fmr: Rates
    fnmr: Rates
    people: int
    people_with_genuine: int


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
            impostor[:, at] += weighted(draws, rows[row], columns[column])
    return ResampledRates(
        fmr=_share_from_right(impostor),
        fnmr=1 - _share_from_right(draws.T.astype(float) @ genuine),
        people=count,
        people_with_genuine=int((genuine.sum(1) > 0).sum()),
    )


def weighted(
    draws: Draws, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Totals:
    """[resamples]: the weights of comparisons of these people, summed. All are impostor ones."""
    total = np.zeros(draws.shape[1])
    for start in range(0, len(first), CHUNK):
        part = slice(start, start + CHUNK)
        total += np.einsum("nb,nb->b", draws[first[part]], draws[second[part]])
    return total


def pair_weights(
    draws: Draws, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Iterator[tuple[slice, Draws]]:
    """Chunks of the weights [pairs, resamples] of comparisons of given people, and which they are.

    `first` and `second` are rows of `draws`; where they are equal the comparison is genuine.
    """
    for start in range(0, len(first), CHUNK):
        part = slice(start, start + CHUNK)
        genuine = (first[part] == second[part])[:, None]
        yield part, draws[first[part]] * np.where(genuine, 1, draws[second[part]])


def _share_from_right(totals: Totals) -> Rates:
    """[resamples, T+1] by bin to [resamples, T]: the share at or above each threshold."""
    at_or_above = np.cumsum(totals[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        return np.asarray(at_or_above[:, 1:] / at_or_above[:, :1])


def numbered(*people: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """People of any ids as 0, 1, 2 …, the same in each of the arrays."""
    known = np.unique(np.concatenate(people))
    if not len(known):
        raise DatasetInvalid("there is nobody to resample; give comparisons of at least two people")
    return [np.searchsorted(known, one) for one in people]
