"""What each call brings with it: until when its caller waits, and its place among the others."""

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

from mien import deadline
from mien.deadline import Deadline
from mien.errors import QueueFull
from mien.server.calls.interceptor import Behaviour, Handler, Interceptor, wrapped

RETRY_SECONDS = 0.5
"""For who finds the house full; calls end at any moment."""
_OURS = "/mien.v1."
_END = object()


def deadline_of(context: grpc.ServicerContext) -> Deadline:
    """Of a call, from its metadata and its connection; gRPC says 2⁶³ seconds if there is none."""
    remaining = context.time_remaining()
    at = math.inf if remaining is None else time.monotonic() + remaining
    return Deadline(at, lambda: not context.is_active())


class CallInterceptor(Interceptor):
    """Gives the work for a call its deadline, and takes no more calls at once than `most`.

    Of streams there are few anyway (`mien.server.streams`); each step of one, from an answer to the
    next, has the deadline of the whole. Health and reflection are always answered. Stands after
    what turns errors into statuses.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0
        self._lock = threading.Lock()

    def wrap(self, handler: Handler, method: str) -> Handler:
        if not method.startswith(_OURS):
            return handler
        return wrapped(handler, self._single, _stream)

    def _single(self, behaviour: Behaviour) -> Behaviour:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self._enter()
            try:
                with deadline.kept(deadline_of(context)):
                    deadline.check("begin")
                    return behaviour(request, context)
            finally:
                self._leave()

        return answer

    def _enter(self) -> None:
        with self._lock:
            if self._now >= self._most:
                raise QueueFull(
                    f"{self._now} calls are being answered, as many as this server takes at once; "
                    "nothing was done, so ask again later",
                    RETRY_SECONDS,
                )
            self._now += 1

    def _leave(self) -> None:
        with self._lock:
            self._now -= 1


def _stream(behaviour: Behaviour) -> Behaviour:
    """Between two answers the thread is gRPC's, and no deadline is left behind in it."""

    def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        waiting, steps = deadline_of(context), iter(behaviour(request, context))
        try:
            while True:
                with deadline.kept(waiting):
                    deadline.check("go on")
                    response = next(steps, _END)
                if response is _END:
                    return
                yield response
        finally:
            steps.close()

    return answers
