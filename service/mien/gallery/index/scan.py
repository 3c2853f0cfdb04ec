"""Looking at every vector: on all cores while there is one search, else on one core for each.

A search reads each vector once and does little with it, so it waits for the memory, which gives
several cores more than one. Searches beside each other use them all without being divided.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import accumulate

import numpy as np

from mien.gallery.index.nearest import Nearest, nearest
from mien.matching.metrics import Vectors

PART = 8 * 2**20
"""Bytes of vectors that are worth a thread: a core reads them in about a millisecond, and to wake
a thread and to merge what it found takes about a tenth of one."""


class Scan:
    """One for all that is searched, for many threads at once."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._helpers = ThreadPoolExecutor(cores, thread_name_prefix="mien-search")
        self._lock = threading.Lock()
        self._searches = 0

    def close(self) -> None:
        """End the threads; searches that come now are not divided."""
        self._cores = 1
        self._helpers.shutdown()

    def nearest(self, probes: Vectors, vectors: Vectors, k: int) -> Nearest:
        """As `mien.gallery.index.nearest.nearest`.

        Which of equally similar ones are among the k may differ, their order does not.
        """
        with self._among() as searches:
            parts = min(self._cores, vectors.nbytes // PART) if searches == 1 else 1
            if parts > 1:
                return self._divided(probes, np.array_split(vectors, parts), k)
            return nearest(probes, vectors, k)

    @contextmanager
    def _among(self) -> Iterator[int]:
        """How many searches there are, with this one."""
        with self._lock:
            self._searches += 1
            searches = self._searches
        try:
            yield searches
        finally:
            with self._lock:
                self._searches -= 1

    def _divided(self, probes: Vectors, parts: list[Vectors], k: int) -> Nearest:
        mine, *others = parts
        helped: list[Future[Nearest]] = []
        try:
            helped.extend(self._helpers.submit(_nearest_in, probes, part, k) for part in others)
            found = [_nearest_in(probes, mine, k)]
            for part, each in zip(others, helped, strict=True):
                not_begun = each.cancel()  # the cores are busy with something else
                found.append(_nearest_in(probes, part, k) if not_begun else each.result())
        finally:
            # The vectors may change as soon as this search has ended.
            wait([each for each in helped if not each.cancel()])
        return _merged(found, accumulate((len(part) for part in parts), initial=0), k)


def _nearest_in(probes: Vectors, part: Vectors, k: int) -> Nearest:
    return nearest(probes, part, min(k, len(part)))


def _merged(found: list[Nearest], starts: Iterator[int], k: int) -> Nearest:
    """The best of what was found in parts that start at these rows."""
    similarities = np.concatenate([each for each, _ in found], axis=1)
    rows = np.concatenate(
        [rows + start for (_, rows), start in zip(found, starts, strict=False)], axis=1
    )
    best = np.lexsort((-rows, -similarities))[:, :k]  # of equally similar ones, faiss's order
    return np.take_along_axis(similarities, best, 1), np.take_along_axis(rows, best, 1)
