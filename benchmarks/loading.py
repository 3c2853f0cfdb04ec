"""Whether learning waits for its pictures: steps of the default recipe at 112 px on sampled and
augmented batches against the same steps on tensors that are there already. Asserts nothing.

    python benchmarks/loading.py
"""

import json
import os
import time
from collections.abc import Iterator
from itertools import cycle, islice
from statistics import median

import numpy as np
import torch
from machine import cpu

from mien_training.batches import Batch, Batches
from mien_training.config.recipe import Recipe
from mien_training.data import Crops
from mien_training.learner import Learner
from mien_training.loading import load_recipe
from mien_training.process_group import ALONE

RECIPE = "center"
SIDE = 112
PEOPLE, PICTURES = 64, 16
STEPS, ROUNDS = 10, 5


def main() -> None:
    recipe = load_recipe(RECIPE, [f"crop={{height={SIDE}, width={SIDE}}}"])
    batches = Batches(crops(), recipe, ALONE)
    learner = Learner.fresh(recipe, torch.device("cpu"), ALONE, PEOPLE, len(batches))
    there = list(islice(batches.epoch(1), 2))
    images = recipe.batches.people * recipe.batches.pictures

    pairs = []
    for round_ in range(1 + ROUNDS):
        loaded = rate(learner, batches.epoch(round_ + 1), images)
        synthetic = rate(learner, cycle(there), images)
        pairs.append((loaded, synthetic))
    ratios = [loaded / synthetic for loaded, synthetic in pairs[1:]]
    alone = augmented_alone(batches, images)
    print(f"{cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, shared")
    print(f"recipe {RECIPE} at {SIDE} px, batch {images}, {STEPS} steps a round, in turns, median")
    print(f"loaded and augmented  {median(loaded for loaded, _ in pairs[1:]):8.1f} images/s")
    print(f"tensors there already {median(other for _, other in pairs[1:]):8.1f} images/s")
    print(f"loading alone         {alone:8.1f} images/s")
    print(f"ratio                 {median(ratios):8.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(json.dumps(result(recipe, pairs[1:], ratios, alone)))


def crops() -> Crops:
    """Noise: what is changed in a picture takes as long whatever it shows."""
    labels = np.arange(PEOPLE).repeat(PICTURES)
    size = (len(labels), SIDE, SIDE, 3)
    images = np.random.default_rng(1).integers(256, size=size, dtype=np.uint8)
    return Crops(tuple(f"person {n}" for n in range(PEOPLE)), images, labels)


def rate(learner: Learner, batches: Iterator[Batch], images: int) -> float:
    """Images learned a second. Nobody could have made the first batch ahead: it is not timed."""
    learner.step([next(batches)])
    start = time.perf_counter()
    for batch in islice(batches, STEPS):
        learner.step([batch])
    return STEPS * images / (time.perf_counter() - start)


def augmented_alone(batches: Batches, images: int) -> float:
    """Images made a second while nothing learns."""
    epoch = batches.epoch(1)
    next(epoch)
    start = time.perf_counter()
    made = sum(1 for _ in islice(epoch, STEPS))
    return made * images / (time.perf_counter() - start)


def result(
    recipe: Recipe, pairs: list[tuple[float, float]], ratios: list[float], alone: float
) -> dict[str, object]:
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "network": recipe.network.kind,
        "side": SIDE,
        "loaded_images_per_second": median(loaded for loaded, _ in pairs),
        "synthetic_images_per_second": median(other for _, other in pairs),
        "loading_alone_images_per_second": alone,
        "ratio": median(ratios),
    }


if __name__ == "__main__":
    main()
