"""Full cross-comparison of 20,000 pictures and its rates: seconds and peak memory of a process
of its own, and a naive way on fewer pictures, both in one run. It measures the comparison and its
rates, not the whole of `mien evaluate`, which embeds and resamples people too. Asserts nothing.
Reads /proc, so it runs on Linux.

    python benchmarks/cross_comparison.py
"""

import json
import os
import subprocess
import sys
import time
from typing import TypedDict

import numpy as np
from machine import cpu, memory_mib

from mien.matching.metrics import Comparisons, People, Vectors, cross_compare

PICTURES, SMALLER, SHOTS, DIMENSION = 20_000, 5_000, 10, 512
ALONE = "--alone"


class Run(TypedDict):
    """Of one way, in a process of its own. `seconds`: those of comparing and of the rates."""

    pictures: int
    comparisons: int
    compare_seconds: float
    rates_seconds: float
    peak_mib: float
    eer: float
    auc: float


def main() -> None:
    full, ours, naive = alone("mien", PICTURES), alone("mien", SMALLER), alone("naive", SMALLER)
    print(f"{cpu()}, {os.cpu_count()} cores, shared; D={DIMENSION}, {SHOTS} pictures a person")
    print(f"{'way':<8}{'pictures':>10}{'comparisons':>14}{'compare s':>11}{'rates s':>9}{'MiB':>7}")
    for way, run in (("mien", full), ("mien", ours), ("naive", naive)):
        print(
            f"{way:<8}{run['pictures']:>10,}{run['comparisons']:>14,}{run['compare_seconds']:>11.2f}"
            f"{run['rates_seconds']:>9.2f}{run['peak_mib']:>7.0f}"
        )
    ratios = {
        "seconds": seconds(ours) / seconds(naive),
        "mib": ours["peak_mib"] / naive["peak_mib"],
    }
    print(f"of the naive way's seconds {ratios['seconds']:.1%}, of its memory {ratios['mib']:.1%}")
    machine = {"cpu": cpu(), "cores": os.cpu_count(), "dimension": DIMENSION}
    print(json.dumps({**machine, "full": full, "ours": ours, "naive": naive, "ratio": ratios}))


def alone(way: str, pictures: int) -> Run:
    """Measured in a process of its own, so that its peak is its own."""
    command = [sys.executable, __file__, ALONE, way, str(pictures)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    run: Run = json.loads(printed)
    return run


def measure(way: str, pictures: int) -> Run:
    vectors, people = looks(pictures)
    start = time.perf_counter()
    comparisons = {"mien": cross_compare, "naive": naively}[way](vectors, people)
    compared = time.perf_counter()
    eer, auc = comparisons.eer(), comparisons.auc()
    comparisons.fnmr_at_fmr(1e-6)
    comparisons.det()
    return {
        "pictures": pictures,
        "comparisons": len(comparisons.genuine) + len(comparisons.impostor),
        "compare_seconds": compared - start,
        "rates_seconds": time.perf_counter() - compared,
        "peak_mib": memory_mib("VmHWM"),
        "eer": eer,
        "auc": auc,
    }


def looks(pictures: int) -> tuple[Vectors, People]:
    """Unit vectors around a direction of each person, in no order."""
    random = np.random.default_rng(0)
    people = random.permutation(np.arange(pictures) // SHOTS)
    directions = random.standard_normal((pictures // SHOTS, DIMENSION), np.float32)
    vectors = directions[people] + random.standard_normal((pictures, DIMENSION), np.float32) * 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, people


def naively(vectors: Vectors, people: People) -> Comparisons:
    """The square of all similarities, and indices of its upper half."""
    similarities = vectors @ vectors.T
    first, second = np.triu_indices(len(vectors), k=1)
    same = people[first] == people[second]
    values = similarities[first, second]
    return Comparisons(genuine=values[same], impostor=values[~same])


def seconds(run: Run) -> float:
    return run["compare_seconds"] + run["rates_seconds"]


if __name__ == "__main__":
    if ALONE in sys.argv:
        print(json.dumps(measure(sys.argv[-2], int(sys.argv[-1]))))
    else:
        main()
