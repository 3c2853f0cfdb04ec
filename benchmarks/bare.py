"""Decoding and onnxruntime without a server, at their best: what a server is held against."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from pictures import jpegs

from mien.model.bundle import Bundle
from mien.vision.crops import crop
from mien.vision.images import decode

CORES = 2
BATCHES = (1, 2, 4, 8, 16, 32)
TRIED = 0.75
"""Seconds for each of them."""

Result: TypeAlias = dict[str, Any]


class Bare:
    """A bundle's network, and pictures for it."""

    def __init__(self, bundle: Bundle) -> None:
        spec = bundle.manifest.input
        self._size = spec.crop_height, spec.crop_width
        self._pictures = jpegs(64)
        self._wide, self._narrow = (session(bundle, threads) for threads in (CORES, 1))
        self._wide_batch = self._best(self._shared)
        self._narrow_batch = self._best(self._apart)

    def rate(self, seconds: float) -> Result:
        """Of the better way: pictures a second, and milliseconds of the processor for one."""
        ways = {
            f"one run on {CORES} threads": self._measured(self._shared, self._wide_batch, seconds),
            f"{CORES} runs on a thread each": self._measured(
                self._apart, self._narrow_batch, seconds
            ),
        }
        best = max(ways, key=lambda each: ways[each]["rate"])
        return {"way": best, "ways": ways, **ways[best]}

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The network runs on every core, on a thread each, while what is inside goes on."""
        ended = threading.Event()
        crops = np.zeros((self._narrow_batch, *self._size, 3), np.uint8)

        def run() -> None:
            while not ended.is_set():
                self._narrow.run(None, {"crops": crops})

        threads = [threading.Thread(target=run) for _ in range(CORES)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def one(self, number: int) -> None:
        """One call with one picture, as fast as this machine does it."""
        self._embed(self._wide, [self._pictures[number % len(self._pictures)]])

    def _measured(self, way: Callable[[int, float], float], batch: int, seconds: float) -> Result:
        before = time.process_time()
        rate = way(batch, seconds / 2)
        processor = (time.process_time() - before) / (rate * seconds / 2)
        return {"batch": batch, "rate": rate, "processor_ms": processor * 1e3}

    def _best(self, way: Callable[[int, float], float]) -> int:
        return max(BATCHES, key=lambda batch: way(batch, TRIED))

    def _shared(self, batch: int, seconds: float) -> float:
        return self._loop(self._wide, batch, seconds)

    def _apart(self, batch: int, seconds: float) -> float:
        rates: list[float] = []
        threads = [
            threading.Thread(target=lambda: rates.append(self._loop(self._narrow, batch, seconds)))
            for _ in range(CORES)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(rates)

    def _loop(self, one: onnxruntime.InferenceSession, batch: int, seconds: float) -> float:
        start, done = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            at = done % len(self._pictures)
            self._embed(one, self._pictures[at : at + batch])
            done += batch
        return done / (time.monotonic() - start)

    def _embed(self, one: onnxruntime.InferenceSession, pictures: list[bytes]) -> np.ndarray:
        crops = np.stack([crop(decode(each), *self._size) for each in pictures])
        (vectors,) = one.run(None, {"crops": crops})
        return vectors


def session(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        str(bundle.network), options, providers=["CPUExecutionProvider"]
    )
