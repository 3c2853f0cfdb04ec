"""Of two ways to embed the same, the one that is faster at present."""

import time
from collections import deque
from statistics import median

from mien.matching.metrics import Vectors
from mien.server.batching import Crops, Embed

AGAIN = 32
"""Runs after which the way that was slower is tried again."""
LEAST, KNOWN = 3, 5
"""Runs of each way that are asked for and remembered: by their median, so that one slow run says
nothing."""


class Faster:
    """For a crop that is alone: threads on all cores, or one.

    On a machine with nothing else to do all cores are faster. Where another process keeps one of
    them busy, threads wait for the one that was interrupted, and one alone is as fast or faster
    (docs/serving.md).
    """

    def __init__(self, first: Embed, other: Embed) -> None:
        self._took = {way: deque[float](maxlen=KNOWN) for way in (first, other)}
        self._runs = 0

    def __call__(self, crops: Crops) -> Vectors:
        way = self._next()
        start = time.monotonic()
        vectors = way(crops)
        self._took[way].append(time.monotonic() - start)
        return vectors

    def _next(self) -> Embed:
        self._runs += 1
        hardly_known = min(self._took, key=lambda way: len(self._took[way]))
        if len(self._took[hardly_known]) < LEAST:
            return hardly_known
        faster, slower = sorted(self._took, key=lambda way: median(self._took[way]))
        return slower if self._runs % AGAIN == 0 else faster
