"""Held-out people as subjects of several samples, and as those who are compared with them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from mien.matching.fusion import Rule, fuse
from mien.matching.intervals import RateIntervals, interval, rate_intervals
from mien.matching.metrics import Comparisons, People, Similarities, Vectors, cross_compare
from mien.matching.resampling import draw, matching_share

GROUPS = 2
"""Subjects that one person gives at most, of other pictures each. More would cost time and tell
little, since they resemble each other."""
BLOCK_ROWS = 256

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Subjects:
    """G subjects of k samples each, out of N vectors of P people with k pictures or more.

    Rows are in order of person, and so are subjects. Every picture is compared with every subject
    that it is not a sample of. Where k is 1 a subject is a picture, and every two are compared.
    """

    vectors: Vectors
    owners: People
    """[N], in 0 … P-1."""
    samples: Indices
    """[G, k], rows of `vectors`."""

    @classmethod
    def draw(cls, vectors: Vectors, people: People, samples: int, seed: int = 0) -> Self:
        """Up to GROUPS subjects of each person who has so many pictures, drawn at random."""
        _, numbers, counts = np.unique(people, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(counts[numbers] >= samples)
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        owners = np.unique(numbers[rows], return_inverse=True)[1]
        random, groups = np.random.default_rng(seed), []
        for own in _runs(owners):
            count = min(GROUPS, len(own) // samples)
            groups.append(random.permutation(own)[: count * samples].reshape(count, samples))
        return cls(vectors[rows], owners, np.concatenate(groups))

    @property
    def people(self) -> int:
        return int(self.owners[-1]) + 1

    @property
    def size(self) -> int:
        """Samples of each subject."""
        return int(self.samples.shape[1])

    @property
    def people_with_genuine(self) -> int:
        """Those with a picture beside the samples of a subject."""
        return int((np.bincount(self.owners) > self.size).sum())

    def comparisons(self, rule: Rule) -> Comparisons:
        """All of them, fused by a rule."""
        if self.size == 1:
            return cross_compare(self.vectors, self.owners)
        genuine, impostor = [], []
        for person, similarities, counted in self._compared(rule):
            own = self._subject_owners == person
            genuine.append(similarities[counted & own])
            impostor.append(similarities[counted & ~own])
        return Comparisons(np.concatenate(genuine), np.concatenate(impostor))

    def intervals(self, rule: Rule, thresholds: Similarities, seed: int = 0) -> list[RateIntervals]:
        """95 % intervals of FMR and FNMR at each of [T] thresholds, ascending.

        By resampling people (`mien.matching.resampling`): an impostor comparison counts as often as
        the picture's person and the subject's were drawn.
        """
        if self.size == 1:
            return rate_intervals(self.vectors, self.owners, thresholds.tolist(), seed)
        bins, people = len(thresholds) + 1, self.people
        draws = np.ascontiguousarray(draw(people, seed).T)
        genuine, impostor = np.zeros((people, bins)), np.zeros((len(draws), bins))
        columns = self._subject_owners * bins
        for person, similarities, counted in self._compared(rule):
            cells = columns + np.searchsorted(thresholds, similarities, side="right")
            table = np.bincount(cells[counted], minlength=people * bins).reshape(people, bins)
            genuine[person] += table[person]
            table[person] = 0
            impostor += draws[:, [person]] * (draws @ table.astype(np.float32))
        fmr, fnmr = matching_share(impostor), 1 - matching_share(draws @ genuine)
        return [
            RateIntervals(
                threshold=float(threshold),
                fmr=interval(fmr[:, at], math.comb(people, 2)),
                fnmr=interval(fnmr[:, at], self.people_with_genuine),
            )
            for at, threshold in enumerate(thresholds)
        ]

    @property
    def _subject_owners(self) -> People:
        """[G], in 0 … P-1."""
        return self.owners[self.samples[:, 0]]

    def _compared(self, rule: Rule) -> Iterator[tuple[int, Similarities, Flags]]:
        """By blocks: a person, similarities [n, G] of some of its pictures, and which count."""
        columns = self.vectors[self.samples.ravel()]
        subjects = np.repeat(np.arange(len(self.samples)), self.size)
        for person, own in enumerate(_runs(self.owners)):
            for start in range(0, len(own), BLOCK_ROWS):
                rows = own[start : start + BLOCK_ROWS]
                similarities = fuse(self.vectors[rows] @ columns.T, subjects, rule)
                yield person, similarities, ~(self.samples == rows[:, None, None]).any(2)


def _runs(owners: People) -> list[Indices]:
    """Rows of each person; `owners` ascend."""
    return np.split(np.arange(len(owners)), np.flatnonzero(np.diff(owners)) + 1)
