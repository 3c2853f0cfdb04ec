"""How many crops one thread embeds at a time: measured, since networks differ.

A convolution over 64 px gains a seventh from 4 crops at once and nothing from more; a small
mobile network gains three times from 32 (docs/serving.md).
"""

import time

import numpy as np
import numpy.typing as npt

from mien.model.embedder import Embedder

LARGEST = 32
WORTH = 0.03
"""A larger batch has to save this share of a crop's time: its callers wait for all of it."""
PATIENCE = 2
"""Sizes in a row that save nothing, after which no larger one is tried."""
ROUNDS, CROPS = 3, 12
"""Each size is tried so often at least, and with so many crops: one run of one crop is over in
milliseconds, and on a busy machine a few of them say nothing."""


def measure(embedder: Embedder) -> int:
    """The smallest power of two, at most LARGEST, than which none is faster by WORTH.

    For a network that runs on the thread that calls. It is the processor's time that counts, so
    that a busy machine leads to the same size.
    """
    crops = _noise(embedder)
    took: dict[int, float] = {}
    size = best = 1
    while size <= LARGEST and size < best << (PATIENCE + 1):
        took[size] = _seconds(embedder, crops[:size])
        if took[size] < (1 - WORTH) * took[best]:
            best = size
        size *= 2
    least = min(took.values())
    return next(each for each in took if (1 - WORTH) * took[each] <= least)


def _seconds(embedder: Embedder, crops: npt.NDArray[np.uint8]) -> float:
    """For a crop of the batch, the least of many; the first run of a size is not counted."""
    embedder.embed(crops)
    rounds = max(ROUNDS, CROPS // len(crops))
    return min(_once(embedder, crops) for _ in range(rounds)) / len(crops)


def _once(embedder: Embedder, crops: npt.NDArray[np.uint8]) -> float:
    start = time.thread_time()
    embedder.embed(crops)
    return time.thread_time() - start


def _noise(embedder: Embedder) -> npt.NDArray[np.uint8]:
    spec = embedder.spec
    size = (LARGEST, spec.crop_height, spec.crop_width, 3)
    return np.random.default_rng(0).integers(256, size=size, dtype=np.uint8)
