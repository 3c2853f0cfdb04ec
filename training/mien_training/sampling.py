"""Batches of P people with K pictures each (Hermans et al. 2017)."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from mien.errors import RecipeInvalid
from mien_training.config.recipe import Batches
from mien_training.data import Labels

Rows: TypeAlias = Labels
"""int64 [P·K], rows of the training crops; those of one person stand together."""


class Sampler:
    """Deals each person's pictures out in groups of K, and the groups into batches of P people.

    Every picture occurs in every epoch. A person's last group is filled with other pictures of
    that person, and a picture repeats within a group only where the person has fewer than K.
    Once fewer than P people have groups left, a batch is filled with people drawn again. The
    number of batches is the same in every epoch.

    Raises RecipeInvalid: P is more than the people there are.
    """

    def __init__(self, labels: Labels, batches: Batches, seed: int) -> None:
        self._rows = [np.flatnonzero(labels == person) for person in np.unique(labels)]
        self._p, self._k, self._seed = batches.people, batches.pictures, seed
        if self._p > len(self._rows):
            raise RecipeInvalid(
                f"batches.people is {self._p}, but there are {len(self._rows)} people to train on; "
                f"set it to {len(self._rows)} or less"
            )
        groups = [-(-len(rows) // self._k) for rows in self._rows]
        # Serving those first who have most left reaches this bound (McNaughton 1959).
        self._length = max(*groups, -(-sum(groups) // self._p))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def epoch(self, number: int) -> Iterator[Rows]:
        """The batches of one epoch; the same for the same seed and number."""
        rng = np.random.default_rng([self._seed, number])
        groups = [self._deal(rows, rng) for rows in self._rows]
        for _ in range(self._length):
            left = np.array([len(dealt) for dealt in groups])
            most_left = np.lexsort((rng.random(len(left)), -left))[: self._p]
            batch = [self._take(groups[person], self._rows[person], rng) for person in most_left]
            yield np.concatenate(batch)

    def _deal(self, rows: Rows, rng: np.random.Generator) -> list[Rows]:
        """All pictures of one person in shuffled groups of K."""
        shuffled = rng.permutation(rows)
        groups = [shuffled[start : start + self._k] for start in range(0, len(rows), self._k)]
        groups[-1] = self._fill(groups[-1], shuffled, rng)
        return groups

    def _fill(self, group: Rows, rows: Rows, rng: np.random.Generator) -> Rows:
        """Make a group K long: first with pictures that it lacks, then with repeated ones."""
        others = rng.permutation(np.setdiff1d(rows, group))[: self._k - len(group)]
        filled = np.concatenate([group, others])
        repeated = rng.choice(rows, size=self._k - len(filled))
        return np.concatenate([filled, repeated])

    def _take(self, dealt: list[Rows], rows: Rows, rng: np.random.Generator) -> Rows:
        return dealt.pop() if dealt else self._fill(rows[:0], rows, rng)
