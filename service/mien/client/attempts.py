"""How often a call is made, when, and for how long it is waited for."""

import logging
import random
import time
from dataclasses import dataclass, field

from mien.errors import MienError, ResourceExhausted, ServerUnavailable

DEADLINE_SECONDS = 30.0

MOST = 5
"""Attempts at a call, or in a row at going on with a stream, unless more are asked for."""

FIRST_PAUSE = 0.1
"""Seconds. Each pause is up to twice as long as the one before."""

LONGEST_PAUSE = 2.0

_log = logging.getLogger(__name__)


@dataclass
class Attempts:
    """The attempts at one call: `safe` may be made more than once, `deadline` is for all together.

    It is made again where the server could not be reached, or said when to try again.
    """

    safe: bool
    deadline: float | None
    most: int | None = None
    _started: float = field(init=False)
    _made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds until the deadline; None is for ever."""
        if self.deadline is None:
            return None
        return max(0.0, self._started + self.deadline - time.monotonic())

    def progressed(self) -> None:
        """The server answers: count anew."""
        self._made = 0

    def pause(self, refused: MienError) -> float | None:
        """Seconds until the next attempt; None if there is to be none, and the error is final."""
        self._made += 1
        if not self.safe or self._made >= (self.most or MOST):
            return None
        if isinstance(refused, ServerUnavailable):
            seconds = self._backoff()
        elif isinstance(refused, ResourceExhausted) and refused.retry_after is not None:
            seconds = refused.retry_after + self._backoff()
        else:
            return None
        if self._made == MOST:  # whoever waits longer than others do wants to know for what
            _log.warning("%s; tried %d times, going on up to %s", refused, self._made, self.most)
        left = self.left
        return seconds if left is None or seconds < left else None

    def _backoff(self) -> float:
        """Longer each time, and at random, so that callers do not come back all at once."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * float(2**self._made))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
