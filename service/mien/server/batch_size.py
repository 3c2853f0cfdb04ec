"""How many crops one thread embeds at a time: measured, since networks differ.

A convolution over 64 px gains a seventh from 4 crops at once and nothing from more; a small
mobile network gains three times from 32 (docs/serving.md).
"""

import time
from statistics import median

import numpy as np
import numpy.typing as npt

from mien.model.embedder import Embedder

SIZES = (1, 2, 4, 8, 16, 32)
WORTH = 0.025
"""A larger batch has to save this share of a crop's time: its callers wait for all of it."""
SECONDS = 1.5
"""Of the processor, about, for all rounds."""
LEAST_ROUNDS, MOST_ROUNDS = 3, 15


def measure(embedder: Embedder) -> int:
    """The smallest of SIZES than which none is faster by WORTH.

    For a network that runs on the thread that calls. It is the processor's time that counts, the
    median of rounds in which the sizes take turns: so a busy machine leads to the same size.
    """
    crops = _noise(embedder)
    sizes = _within_reach(embedder, crops)
    rounds: list[list[float]] = []
    while len(rounds) < LEAST_ROUNDS or (len(rounds) < MOST_ROUNDS and _spent(rounds) < SECONDS):
        rounds.append([_seconds(embedder, crops[:size]) for size in sizes])
    of_crop = [
        median(took) / size for size, took in zip(sizes, zip(*rounds, strict=True), strict=True)
    ]
    least = min(of_crop)
    return next(
        size for size, each in zip(sizes, of_crop, strict=True) if (1 - WORTH) * each <= least
    )


def _within_reach(embedder: Embedder, crops: npt.NDArray[np.uint8]) -> list[int]:
    """The sizes that can be tried so often; each has run once then: its first run takes longer."""
    took: list[float] = []
    for size in SIZES:
        if sum(took) < SECONDS / LEAST_ROUNDS:
            took.append(_seconds(embedder, crops[:size]))
    return list(SIZES[: len(took)])


def _spent(rounds: list[list[float]]) -> float:
    return sum(map(sum, rounds))


def _seconds(embedder: Embedder, crops: npt.NDArray[np.uint8]) -> float:
    start = time.thread_time()
    embedder.embed(crops)
    return time.thread_time() - start


def _noise(embedder: Embedder) -> npt.NDArray[np.uint8]:
    spec = embedder.spec
    size = (max(SIZES), spec.crop_height, spec.crop_width, 3)
    return np.random.default_rng(0).integers(256, size=size, dtype=np.uint8)
