"""What is seen of every call from outside: an id, numbers for the metrics, a line in the log."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from mien.server.call import REQUEST_ID, Call, begin
from mien.server.interceptors import Behaviour, kind_of
from mien.server.logs import FACTS
from mien.server.metrics import Metrics

_DETAILS = "grpc-status-details-bin"
_log = logging.getLogger(__name__)


class Observer(grpc.ServerInterceptor):
    """Stands before all others, so that it sees every call, and how it ended."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        arrived = time.monotonic()
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        kind, make = kind_of(handler)
        behaviour, method = getattr(handler, kind), handler_call_details.method
        seen = (self._stream if handler.response_streaming else self._single)(
            behaviour, method, arrived
        )
        return make(seen, handler.request_deserializer, handler.response_serializer)

    def _single(self, behaviour: Behaviour, method: str, arrived: float) -> Behaviour:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with self._seen(method, context, arrived):
                return behaviour(request, context)

        return answer

    def _stream(self, behaviour: Behaviour, method: str, arrived: float) -> Behaviour:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._seen(method, context, arrived):
                yield from behaviour(request, context)

        return answers

    @contextmanager
    def _seen(self, method: str, context: grpc.ServicerContext, arrived: float) -> Iterator[None]:
        call = begin(method, context)
        self._metrics.began(call.began - arrived)
        context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        try:
            yield
        finally:
            self._note(call, context, time.monotonic() - arrived)

    def _note(self, call: Call, context: grpc.ServicerContext, seconds: float) -> None:
        code, reason = _code(context), _reason(context)
        trailing = context.trailing_metadata() or ()
        if all(name != REQUEST_ID for name, _ in trailing):  # who aborts a call sets its own
            context.set_trailing_metadata((*trailing, (REQUEST_ID, call.request_id)))
        self._metrics.ended(call.method, code, seconds, reason)
        if _log.isEnabledFor(logging.INFO):
            facts = {
                "request_id": call.request_id,
                "who": call.who,
                "peer": call.peer,
                "method": call.method,
                "code": code,
                "seconds": round(seconds, 6),
            }
            _log.info("call", extra={FACTS: facts | ({"reason": reason} if reason else {})})


def _code(context: grpc.ServicerContext) -> str:
    """Of a call that ends now."""
    code = context.code()  # type: ignore[attr-defined]  # its stubs leave it out
    if code is not None:
        return str(code.name)
    return "OK" if context.is_active() else "CANCELLED"


def _reason(context: grpc.ServicerContext) -> str | None:
    """Why the call was refused; None if it was not, or not by us."""
    details = dict(context.trailing_metadata() or ()).get(_DETAILS)
    if not isinstance(details, bytes):
        return None
    info = error_details_pb2.ErrorInfo()
    unpacked = any(each.Unpack(info) for each in status_pb2.Status.FromString(details).details)
    return str(info.reason) if unpacked else None
