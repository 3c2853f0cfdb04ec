"""Comparisons that were made, and how people are drawn to give their rates an interval."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from mien.evaluation.samples import Samples
from mien.evaluation.trials import Trials
from mien.matching.intervals import CurveIntervals, curve_intervals, pair_curve_intervals
from mien.matching.metrics import Comparisons, cross_compare, pair_similarities
from mien.matching.resampling import Pairs


class Compared(Protocol):
    """Comparisons of people. `people_pairs`: how many pairs of two people were compared;
    `genuine_people`: how many people were compared with themselves."""

    people: int
    genuine_people: int
    people_pairs: int

    @property
    def comparisons(self) -> Comparisons: ...

    def intervals(self, thresholds: Sequence[float]) -> CurveIntervals:
        """Of EER, AUC, and FMR and FNMR at each threshold. It takes a while: ask once for all."""
        ...


class AllPairs:
    """Every sample with every other."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self._vectors, self._numbers, self._seed = samples.vectors, samples.person_numbers, seed
        counts = np.unique(self._numbers, return_counts=True)[1]
        self.people, self.genuine_people = len(counts), int((counts > 1).sum())
        self.people_pairs = math.comb(self.people, 2)

    @cached_property
    def comparisons(self) -> Comparisons:
        return cross_compare(self._vectors, self._numbers)

    def intervals(self, thresholds: Sequence[float]) -> CurveIntervals:
        return curve_intervals(
            self._vectors, self._numbers, self.comparisons, thresholds, self._seed
        )


class ListedPairs:
    """The pairs of a pair file. `similarities` float32 [P], in the order of the trials."""

    def __init__(self, samples: Samples, trials: Trials, seed: int) -> None:
        vectors, numbers = samples.vectors, samples.person_numbers
        self.similarities = pair_similarities(vectors[trials.first], vectors[trials.second])
        self.pairs = Pairs(numbers[trials.first], numbers[trials.second])
        self.trials = trials
        self._seed = seed
        self.people = len(np.unique([self.pairs.first, self.pairs.second]))
        self.genuine_people = len(np.unique(self.pairs.first[self.pairs.same]))
        self.people_pairs = self.pairs.of(~self.pairs.same).distinct()

    @cached_property
    def comparisons(self) -> Comparisons:
        same = self.pairs.same
        return Comparisons(self.similarities[same], self.similarities[~same])

    def intervals(self, thresholds: Sequence[float]) -> CurveIntervals:
        return pair_curve_intervals(
            self.similarities, self.pairs, self.comparisons, thresholds, self._seed
        )
