"""The batches of an epoch as tensors, the next one made while the last one is learned."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mien.errors import DatasetInvalid, RecipeInvalid
from mien_training.augment import Augmenter
from mien_training.config.recipe import Recipe
from mien_training.data import Crops
from mien_training.process_group import ProcessGroup
from mien_training.sampling import Rows, Sampler

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images uint8 [B/n, H, W, 3], the share of this one of n processes, and labels int64 [B]."""


class Source(Protocol):
    """Where batches come from."""

    def __len__(self) -> int: ...
    def epoch(self, number: int) -> Iterator[Batch]: ...


class Batches:
    """Sampled, augmented batches; the same for the same seed and epoch, in any number of processes.

    Raises DatasetInvalid: somebody has no picture, so that a class would have no example; and
    RecipeInvalid: the processes cannot share the people of a batch evenly.
    """

    def __init__(self, crops: Crops, recipe: Recipe, group: ProcessGroup) -> None:
        _refuse_gap(crops)
        _refuse_uneven(recipe.batches.people, group.size)
        self._crops, self._seed, self._group = crops, recipe.seed, group
        self._sampler = Sampler(crops.labels, recipe.batches, recipe.seed)
        self._augmenter = Augmenter(recipe.augmentation, recipe.crop)
        self._people, self._pictures = recipe.batches.people, recipe.batches.pictures

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._sampler)

    def epoch(self, number: int) -> Iterator[Batch]:
        with ThreadPoolExecutor(max_workers=1) as ahead:
            waiting = None
            for index, rows in enumerate(self._sampler.epoch(number)):
                following = ahead.submit(self._batch, rows, number, index)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _batch(self, rows: Rows, epoch: int, index: int) -> Batch:
        """Each person's pictures are changed by a seed of their own, whichever process does it."""
        seeds = np.random.SeedSequence([self._seed, epoch, index]).generate_state(self._people)
        share = self._group.share(self._people)
        by_person = rows.reshape(self._people, self._pictures)[share]
        images = [
            self._augmenter(self._crops.images[of_one], int(seed))
            for of_one, seed in zip(by_person, seeds[share], strict=True)
        ]
        return torch.from_numpy(np.concatenate(images)), torch.from_numpy(self._crops.labels[rows])


def _refuse_gap(crops: Crops) -> None:
    given, expected = set(crops.labels.tolist()), set(range(len(crops.people)))
    if given != expected:
        gap = min(given ^ expected)
        raise DatasetInvalid(
            f"{len(expected)} people need the labels 0 to {len(expected) - 1} without a gap, but "
            f"label {gap} {'has no picture' if gap in expected else 'is nobody'}; label them anew"
        )


def _refuse_uneven(people: int, processes: int) -> None:
    if people % processes:
        raise RecipeInvalid(
            f"batches.people is {people}, which {processes} processes cannot share evenly; set it "
            f"to {people // processes * processes or processes} or start another number of them"
        )
