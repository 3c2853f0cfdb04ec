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
ROUNDS = 3


def measure(embedder: Embedder) -> int:
    """The best power of two, at most LARGEST, for a network that runs on the thread that calls.

    It is the processor's time that counts, so that a busy machine leads to the same size.
    """
    crops = _noise(embedder)
    best, least = 1, _seconds(embedder, crops[:1])
    while best < LARGEST:
        seconds = _seconds(embedder, crops[: 2 * best])
        if seconds > (1 - WORTH) * least:
            break
        best, least = 2 * best, seconds
    return best


def _seconds(embedder: Embedder, crops: npt.NDArray[np.uint8]) -> float:
    """For a crop of the batch, the least of ROUNDS; the first run of a size is not counted."""
    embedder.embed(crops)
    return min(_once(embedder, crops) for _ in range(ROUNDS)) / len(crops)


def _once(embedder: Embedder, crops: npt.NDArray[np.uint8]) -> float:
    start = time.thread_time()
    embedder.embed(crops)
    return time.thread_time() - start


def _noise(embedder: Embedder) -> npt.NDArray[np.uint8]:
    spec = embedder.spec
    size = (LARGEST, spec.crop_height, spec.crop_width, 3)
    return np.random.default_rng(0).integers(256, size=size, dtype=np.uint8)
