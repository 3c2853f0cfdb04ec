"""How fast a bundle embeds, by onnxruntime on this machine."""

import time
from typing import Any

import numpy as np

from mien.model.bundle import Bundle
from mien.model.embedder import Embedder

BATCHES = (1, 4, 8, 16, 32, 64)
ROUNDS = 9


def figures(bundle: Bundle, threads: int) -> dict[str, Any]:
    """Crops a second by size of batch, the best of ROUNDS; and milliseconds for one, the median."""
    embedder, spec = Embedder.of(bundle, threads), bundle.manifest.input
    shape = (max(BATCHES), spec.crop_height, spec.crop_width, 3)
    crops = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    seconds: dict[int, list[float]] = {size: [] for size in BATCHES}
    for _ in range(ROUNDS):
        for size in BATCHES:
            started = time.perf_counter()
            embedder.embed(crops[:size])
            seconds[size].append(time.perf_counter() - started)
    rates = {size: size / min(taken) for size, taken in seconds.items()}
    best = max(rates, key=lambda size: rates[size])
    return {
        "threads": threads,
        "crops_a_second": {str(size): rate for size, rate in rates.items()},
        "best_batch": best,
        "best_crops_a_second": rates[best],
        "one_crop_ms": 1000 * float(np.median(seconds[1])),
    }
