"""How often somebody may ask: a token bucket each."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mien.errors import RateLimited

MOST_BUCKETS = 10_000
"""Who asked longest ago is forgotten beyond: addresses can be made up, and memory cannot."""


@dataclass
class _Bucket:
    tokens: float
    filled: float


class Rates:
    """A call takes a token; `per_second` come back to each, up to `burst`. 0 sets no limit.

    Safe to use from several threads.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, who: str) -> None:
        """Raises RateLimited, with the seconds after which there is a token."""
        if seconds := self.missing(who):
            raise RateLimited(
                f"more than {self._per_second:g} calls a second; ask again in {seconds:.2f} s",
                seconds,
            )

    def wait(self, who: str, is_active: Callable[[], bool]) -> None:
        """Take a token as soon as there is one: a stream is slowed down, not ended."""
        while (seconds := self.missing(who)) and is_active():
            time.sleep(min(seconds, 0.5))

    def missing(self, who: str) -> float:
        """Take a token, and return 0; or the seconds until there is one."""
        if not self._per_second:
            return 0
        with self._lock:
            bucket = self._filled(who)
            if bucket.tokens < 1:
                return (1 - bucket.tokens) / self._per_second
            bucket.tokens -= 1
            return 0

    def _filled(self, who: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(who, _Bucket(self._burst, now))
        gained = (now - bucket.filled) * self._per_second
        bucket.tokens, bucket.filled = min(self._burst, bucket.tokens + gained), now
        self._buckets.move_to_end(who)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket
