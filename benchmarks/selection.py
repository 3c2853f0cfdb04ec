"""Online selection plus triplet loss: time against pytorch-metric-learning, share of a training
step, and memory. Asserts nothing. Reads /proc, so it runs on Linux.

    python benchmarks/selection.py
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import TypeAlias

import torch
from machine import cpu, memory_mib
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import Tensor
from torch.nn import functional as F

from mien_training import networks
from mien_training.config.losses import Triplet
from mien_training.loading import load_recipe
from mien_training.losses.triplet import TripletLoss

BATCH, PICTURES, DIMENSION, MARGIN = 256, 4, 128, 0.2
LARGE_BATCH = 512
WARM, ROUNDS = 3, 40
STEPS = 3
RECIPE = Path(__file__).parents[1] / "training/mien_training/recipes/center.toml"
MEMORY_OF = "--memory-of"

Run: TypeAlias = Callable[[], object]
METRIC = distances.LpDistance(power=2)
MINERS = {
    "batch_all": miners.TripletMarginMiner(MARGIN, "all", distance=METRIC),
    "batch_hard": miners.BatchHardMiner(distance=METRIC),
    "semi_hard": miners.TripletMarginMiner(MARGIN, "semihard", distance=METRIC),
    "distance_weighted": miners.DistanceWeightedMiner(),
    "random": None,
}


def main() -> None:
    raw, labels = batch(BATCH, PICTURES)
    rows = compare(raw, labels)
    step = step_seconds()
    memory = {pictures: batch_all_memory(pictures) for pictures in (4, 16, LARGE_BATCH // 2)}
    print(f"{cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, shared")
    print(f"batch {BATCH} of {PICTURES} pictures each, D={DIMENSION}, forward and backward, median")
    print(f"{'selection':<20}{'mien ms':>10}{'pml ms':>10}{'ratio':>8}{'of a step':>12}")
    for kind, (ours, theirs) in rows.items():
        print(
            f"{kind:<20}{ours * 1e3:>10.2f}{theirs * 1e3:>10.2f}{ours / theirs:>8.3f}"
            f"{ours / step:>12.2%}"
        )
    print(f"a step of {RECIPE.name}'s network at batch {BATCH} without a loss: {step:.2f} s")
    for pictures, used in memory.items():
        print(f"a batch-all step at batch {LARGE_BATCH}, K={pictures}: {used:.0f} MiB")
    print(json.dumps(result(rows, step, memory)))


def batch(size: int, pictures: int) -> tuple[Tensor, Tensor]:
    """Raw embeddings [size, D] around a direction of each person, as after some learning."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(size // pictures).repeat_interleave(pictures)
    people = torch.randn(size // pictures, DIMENSION, generator=generator)
    noise = torch.randn(size, DIMENSION, generator=generator)
    return (people[labels] + noise).requires_grad_(), labels


def compare(raw: Tensor, labels: Tensor) -> dict[str, tuple[float, float]]:
    """Of each selection the median seconds of ours and theirs, all taken in turns."""
    runs = [(ours(kind, raw, labels), theirs(kind, raw, labels)) for kind in MINERS]
    rounds = [[(timed(mine), timed(other)) for mine, other in runs] for _ in range(WARM + ROUNDS)]
    by_kind = zip(MINERS, zip(*rounds[WARM:], strict=True), strict=True)
    return {kind: medians(pairs) for kind, pairs in by_kind}


def medians(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    mine, other = zip(*pairs, strict=True)
    return median(mine), median(other)


def ours(kind: str, raw: Tensor, labels: Tensor) -> Run:
    recipe = {"margin": MARGIN, "distance": "squared", "selection": {"kind": kind}}
    loss = TripletLoss(Triplet.model_validate(recipe), DIMENSION)

    def step() -> None:
        loss(raw, labels).loss.backward()

    return step


def theirs(kind: str, raw: Tensor, labels: Tensor) -> Run:
    """Its miner and its loss; without a miner the loss draws as many random triplets as ours."""
    miner = MINERS[kind]
    loss = losses.TripletMarginLoss(
        margin=MARGIN,
        distance=METRIC,
        reducer=reducers.MeanReducer(),
        triplets_per_anchor="all" if miner else PICTURES - 1,
    )
    return lambda: loss(raw, labels, miner(raw, labels) if miner else None).backward()


def step_seconds() -> float:
    """Of forward and backward of the default recipe's network, without loss and optimiser."""
    recipe = load_recipe(str(RECIPE), ())
    network = networks.build(recipe).to(memory_format=torch.channels_last).train()
    size = (BATCH, recipe.crop.height, recipe.crop.width, 3)
    images = torch.randint(0, 256, size, dtype=torch.uint8)

    def step() -> None:
        F.normalize(network.features(images)).sum().backward()  # type: ignore[no-untyped-call]

    step()
    return median(timed(step) for _ in range(STEPS))


def timed(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def batch_all_memory(pictures: int) -> float:
    """MiB that a batch-all step adds to the peak of a process of its own."""
    command = [sys.executable, __file__, MEMORY_OF, str(pictures)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_memory(pictures: int) -> None:
    """A step at a batch of four comes first, so that what torch loads once is not counted."""
    ours("batch_all", *batch(4, 2))()
    before = memory_mib("VmHWM")
    ours("batch_all", *batch(LARGE_BATCH, pictures))()
    print(memory_mib("VmHWM") - before)


def result(
    rows: Mapping[str, tuple[float, float]], step: float, memory: Mapping[int, float]
) -> dict[str, object]:
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "batch": BATCH,
        "dimension": DIMENSION,
        "milliseconds": {kind: ours * 1e3 for kind, (ours, _) in rows.items()},
        "ratio": {kind: ours / theirs for kind, (ours, theirs) in rows.items()},
        "share_of_step": {kind: ours / step for kind, (ours, _) in rows.items()},
        "step_seconds": step,
        "batch_all_mib": memory,
    }


if __name__ == "__main__":
    if MEMORY_OF in sys.argv:
        print_memory(int(sys.argv[-1]))
    else:
        main()
