"""What is seen of every call from outside: an id, numbers for the metrics, a line in the log."""

import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

import grpc
from google.rpc import error_details_pb2, status_pb2

from mien.errors import RateLimited
from mien.server.calls.call import REQUEST_ID, Call, arrived, begin
from mien.server.calls.interceptor import Behaviour, Handler, Interceptor, wrapped
from mien.server.observing.logs import FACTS
from mien.server.observing.metrics import Metrics

_DETAILS = "grpc-status-details-bin"
_log = logging.getLogger(__name__)

_Trailers: TypeAlias = tuple[tuple[str, str | bytes], ...]
_Seen: TypeAlias = tuple[Call, float, _Trailers]
"""A call, when it came, and the trailers that it was given."""


class Observer(Interceptor):
    """Stands before all others, so that it sees every call, and how it ended.

    Those that are refused for being too many are logged at the level debug, or they would fill the
    disk all the same.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def wrap(self, handler: Handler, method: str) -> Handler:
        return wrapped(
            handler, partial(self._single, method=method), partial(self._stream, method=method)
        )

    def _single(self, behaviour: Behaviour, method: str) -> Behaviour:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            seen = self._begin(method, context)
            try:
                return behaviour(request, context)
            finally:
                self._end(seen, context)

        return answer

    def _stream(self, behaviour: Behaviour, method: str) -> Behaviour:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            seen = self._begin(method, context)
            try:
                yield from behaviour(request, context)
            finally:
                self._end(seen, context)

        return answers

    def _begin(self, method: str, context: grpc.ServicerContext) -> "_Seen":
        call, came = begin(method, context), arrived()
        self._metrics.began(call.began - came)
        trailers = ((REQUEST_ID, call.request_id),)
        context.set_trailing_metadata(trailers)
        return call, came, trailers

    def _end(self, seen: "_Seen", context: grpc.ServicerContext) -> None:
        call, came, trailers = seen
        trailing = context.trailing_metadata()
        code, reason = _code(context), None
        if trailing is not trailers:  # who aborts a call sets its own
            reason = _reason(trailing)
            context.set_trailing_metadata((*(trailing or ()), *trailers))
        self._note(call, code, reason, time.monotonic() - came)

    def _note(self, call: Call, code: str, reason: str | None, seconds: float) -> None:
        self._metrics.ended(call.method, code, seconds, reason)
        level = logging.DEBUG if reason == RateLimited.reason else logging.INFO
        if _log.isEnabledFor(level):
            facts = {
                "request_id": call.request_id,
                "who": call.who,
                "peer": call.peer,
                "method": call.method,
                "code": code,
                "seconds": round(seconds, 6),
            }
            _log.log(level, "call", extra={FACTS: facts | ({"reason": reason} if reason else {})})


def _code(context: grpc.ServicerContext) -> str:
    """Of a call that ends now."""
    code = context.code()  # type: ignore[attr-defined]  # its stubs leave it out
    if code is not None:
        return str(code.name)
    return "OK" if context.is_active() else "CANCELLED"


def _reason(trailing: "_Trailers | None") -> str | None:
    """Why the call was refused; None if it was not, or not by us."""
    details = dict(trailing or ()).get(_DETAILS)
    if not isinstance(details, bytes):
        return None
    info = error_details_pb2.ErrorInfo()
    unpacked = any(each.Unpack(info) for each in status_pb2.Status.FromString(details).details)
    return str(info.reason) if unpacked else None
