"""Until when somebody waits for an answer, known to every stage of the work for it.

Whoever answers a call opens `kept`; each stage that costs something first calls `check`, in the
same thread. Without a caller, in commands and tests, nobody's patience ends.
"""

import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from dataclasses import dataclass

from mien.errors import CallerGone, DeadlineExceeded


@dataclass(frozen=True)
class Deadline:
    """When a caller stops waiting."""

    at: float = math.inf
    """On `time.monotonic`'s clock."""
    gone: Callable[[], bool] = lambda: False
    """Whether the caller has hung up before. For any thread."""

    def remaining(self) -> float:
        """Seconds to wait, 0 if there are none; at most what a lock can wait."""
        return min(max(0.0, self.at - time.monotonic()), threading.TIMEOUT_MAX)

    def over(self) -> bool:
        """Whether nobody waits any more."""
        return time.monotonic() >= self.at or self.gone()

    def check(self, stage: str) -> None:
        """Raise DeadlineExceeded or CallerGone if nobody waits for what `stage` would give."""
        if time.monotonic() >= self.at:
            raise DeadlineExceeded(
                f"the deadline passed before the server could {stage}; allow more time, or send "
                "less at once"
            )
        if self.gone():
            raise CallerGone(f"the caller hung up before the server could {stage}")


_current: ContextVar[Deadline] = ContextVar("deadline")
_NONE = Deadline()


def current() -> Deadline:
    """That of the call which this thread works for."""
    return _current.get(_NONE)


def check(stage: str) -> None:
    """`Deadline.check` for the call which this thread works for."""
    current().check(stage)


def kept(deadline: Deadline) -> AbstractContextManager[None]:
    """What is inside works for somebody who waits as long as `deadline` says."""
    return _Kept(deadline)


class _Kept(AbstractContextManager[None]):
    """No generator, which takes three times as long: every call goes through it."""

    __slots__ = ("_deadline", "_token")
    _token: Token[Deadline]

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __enter__(self) -> None:
        self._token = _current.set(self._deadline)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
