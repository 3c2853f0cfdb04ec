"""The batches of an epoch as tensors, the next one made while the last one is learned."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from mien.errors import DatasetInvalid
from mien_training.augment import Augmenter
from mien_training.data import Crops
from mien_training.sampling import Rows, Sampler

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images uint8 [B, H, W, 3] and labels int64 [B]."""


class Batches:
    """Sampled, augmented batches; the same for the same seed and epoch.

    Raises DatasetInvalid: somebody has no picture, so that a class would have no example.
    """

    def __init__(self, crops: Crops, sampler: Sampler, augmenter: Augmenter, seed: int) -> None:
        _refuse_gap(crops)
        self._crops, self._sampler, self._augmenter = crops, sampler, augmenter
        self._seed = seed

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
        seed = np.random.SeedSequence([self._seed, epoch, index]).generate_state(1)
        images = self._augmenter(self._crops.images[rows], int(seed[0]))
        return torch.from_numpy(images), torch.from_numpy(self._crops.labels[rows])


def _refuse_gap(crops: Crops) -> None:
    given, expected = set(crops.labels.tolist()), set(range(len(crops.people)))
    if given != expected:
        gap = min(given ^ expected)
        raise DatasetInvalid(
            f"{len(expected)} people need the labels 0 to {len(expected) - 1} without a gap, but "
            f"label {gap} {'has no picture' if gap in expected else 'is nobody'}; label them anew"
        )
