"""One loop for all experiments: the product's `Learner` on P×K batches, or on plain ones."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from mien.errors import LearningStopped
from mien_training.batches import Batch, Batches, Source
from mien_training.config.recipe import Recipe
from mien_training.data import Crops
from mien_training.learner import Learner
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.process_group import ProcessGroup

Look: TypeAlias = Callable[[Learner, int], None]
"""Called with the number of steps behind the learner: before the first and after each. It leaves
the network in training and torch's generator as they were."""


class Shuffled:
    """All pictures in a new order each epoch, so many at a time; the last batch may be smaller."""

    def __init__(self, crops: Crops, size: int | None, seed: int) -> None:
        """A `size` of None takes them all at once, for the full gradient."""
        self._images, self._labels = torch.from_numpy(crops.images), torch.from_numpy(crops.labels)
        self._size, self._seed = size or len(crops.labels), seed

    def __len__(self) -> int:
        return math.ceil(len(self._labels) / self._size)

    def epoch(self, number: int) -> Iterator[Batch]:
        order = np.random.default_rng([self._seed, number]).permutation(len(self._labels))
        for rows in np.split(order, range(self._size, len(order), self._size)):
            yield self._images[rows], self._labels[rows]


@dataclass(frozen=True)
class Lesson:
    """What was learned, and how it went."""

    learner: Learner
    log: tuple[dict[str, float], ...]
    """Of each step, as `Learner.step` gives it: loss and its parts, gradient_norm, …"""
    seconds: tuple[float, ...]
    """Since the beginning, after each step; what `look` took is left out."""
    stopped: str | None
    """Why `diagnose` ended it, if it did."""

    @property
    def network(self) -> EmbeddingNetwork:
        """In evaluation, with the weights to use (the average, if the recipe keeps one)."""
        return self.learner.average.network.eval()

    def column(self, name: str) -> list[float]:
        return [step[name] for step in self.log]


def learn(
    recipe: Recipe, crops: Crops, source: Source | None = None, look: Look | None = None
) -> Lesson:
    """Learn from crops by a recipe: `recipe.epochs`, weights drawn from `recipe.seed`.

    Without a source by the recipe's P×K batches, with its augmentation. A run that diagnose stops
    ends there. Raises as `Batches`.
    """
    group = ProcessGroup()
    source = source or Batches(crops, recipe, group)
    learner = Learner.fresh(recipe, torch.device("cpu"), group, len(crops.people), len(source))
    log: list[dict[str, float]] = []
    seconds: list[float] = []
    stopped = None
    if look:
        look(learner, 0)
    try:
        for batches in _steps(learner, source):
            started = time.perf_counter()
            log.append(learner.step(batches))
            seconds.append(time.perf_counter() - started + (seconds[-1] if seconds else 0))
            if look:
                look(learner, learner.steps)
    except LearningStopped as error:
        stopped = str(error)
    return Lesson(learner, tuple(log), tuple(seconds), stopped)


def _steps(learner: Learner, source: Source) -> Iterator[list[Batch]]:
    for number in range(1, learner.recipe.epochs + 1):
        yield from learner.epoch(number, source)
