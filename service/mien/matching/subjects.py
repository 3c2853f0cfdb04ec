"""Held-out people as subjects of several samples, and as those who are compared with them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from mien.matching.fusion import Rule, fuse
from mien.matching.intervals import RateIntervals, interval
from mien.matching.metrics import Comparisons, People, Similarities, Vectors
from mien.matching.resampling import draw

GROUPS = 2
"""Subjects that one person gives at most, of other pictures each. More would cost time and tell
little, since they resemble each other."""
BLOCK_ROWS = 256

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Subjects:
    """G subjects of k samples each, out of N vectors of P people with k pictures or more.

    Rows are in order of person, and so are subjects. Everybody is compared with every subject,
    except those whose own picture is among its samples; of single samples every two once.
    """

    vectors: Vectors
    owners: People
    """[N], in 0 … P-1."""
    samples: Indices
    """[G, k], rows of `vectors`."""

    @classmethod
    def draw(cls, vectors: Vectors, people: People, samples: int, seed: int = 0) -> Self:
        """Up to GROUPS subjects of each person; of single samples as many as there are."""
        _, numbers, counts = np.unique(people, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(counts[numbers] >= samples)
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        owners = np.unique(numbers[rows], return_inverse=True)[1]
        random, groups = np.random.default_rng(seed), []
        for own in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(owners)) + 1):
            count = len(own) if samples == 1 else min(GROUPS, len(own) // samples)
            chosen = own if samples == 1 else random.permutation(own)
            groups.append(chosen[: count * samples].reshape(count, samples))
        return cls(vectors[rows], owners, np.concatenate(groups))

    @property
    def people(self) -> int:
        return int(self.owners[-1]) + 1

    @property
    def people_with_genuine(self) -> int:
        """Those with a picture beside the samples of a subject."""
        return int((np.bincount(self.owners) > self.samples.shape[1]).sum())

    @property
    def subject_owners(self) -> People:
        """[G], in 0 … P-1."""
        return self.owners[self.samples[:, 0]]

    def compared(self, rule: Rule) -> Iterator[tuple[int, Similarities, Flags]]:
        """By blocks: a person, similarities [n, G] of some of its pictures, and which count."""
        columns = self.vectors[self.samples.ravel()]
        subjects = np.repeat(np.arange(len(self.samples)), self.samples.shape[1])
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
        for person, own in enumerate(np.split(np.arange(len(self.owners)), starts[1:])):
            for first in range(own[0], own[-1] + 1, BLOCK_ROWS):
                rows = np.arange(first, min(first + BLOCK_ROWS, own[-1] + 1))
                fused = fuse(self.vectors[rows] @ columns.T, subjects, rule)
                yield person, fused, self._counted(rows)

    def comparisons(self, rule: Rule) -> Comparisons:
        """All of them, fused by a rule."""
        genuine, impostor = [], []
        for person, similarities, counted in self.compared(rule):
            own = self.subject_owners == person
            genuine.append(similarities[counted & own])
            impostor.append(similarities[counted & ~own])
        return Comparisons(np.concatenate(genuine), np.concatenate(impostor))

    def intervals(
        self, rule: Rule, thresholds: Similarities, seed: int = 0
    ) -> list[RateIntervals]:
        """95 % intervals of FMR and FNMR at each of [T] thresholds, ascending.

        The subsets bootstrap of `mien.matching.resampling`, where an impostor comparison counts as
        often as both of its people were drawn. Its cost grows with the square of the people, not of
        the pictures.
        """
        bins, people = len(thresholds) + 1, self.people
        draws = np.ascontiguousarray(draw(people, seed).T)
        genuine, impostor = np.zeros((people, bins)), np.zeros((len(draws), bins))
        columns = self.subject_owners * bins
        for person, similarities, counted in self.compared(rule):
            cells = columns + np.searchsorted(thresholds, similarities, side="right")
            table = np.bincount(cells[counted], minlength=people * bins).reshape(people, bins)
            genuine[person] += table[person]
            table[person] = 0
            impostor += draws[:, [person]] * (draws @ table.astype(np.float32))
        fmr, fnmr = _at_or_above(impostor), 1 - _at_or_above(draws @ genuine)
        return [
            RateIntervals(
                threshold=float(threshold),
                fmr=interval(fmr[:, at], math.comb(people, 2)),
                fnmr=interval(fnmr[:, at], self.people_with_genuine),
            )
            for at, threshold in enumerate(thresholds)
        ]

    def _counted(self, rows: Indices) -> Flags:
        """[n, G]: no picture is compared with itself, no two single ones twice."""
        if self.samples.shape[1] == 1:
            return self.samples[:, 0] > rows[:, None]
        return ~(self.samples[None] == rows[:, None, None]).any(2)


def _at_or_above(totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Totals by bin [resamples, T+1] to the share at or above each threshold [resamples, T]."""
    above = np.cumsum(totals[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):  # a resample may hold no such comparison
        return np.asarray(above[:, 1:] / above[:, :1])
