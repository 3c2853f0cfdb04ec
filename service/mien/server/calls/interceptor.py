"""What stands between gRPC and the servicers: each is given what answers a method, and wraps it."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]
"""What a handler calls: with the request or an iterator of requests; gives the answer or many."""
Wrap: TypeAlias = Callable[[Behaviour], Behaviour]
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Handler | None]"
"""All that stands behind an interceptor."""


class Interceptor(grpc.ServerInterceptor):
    """Wraps the handlers of methods. Stands behind `Handlers`, which asks it once for each."""

    @abstractmethod
    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler of a method (`/package.Service/Method`) with this interceptor's part."""

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        handler = continuation(handler_call_details)
        return self.wrap(handler, handler_call_details.method) if handler else None


def wrapped(handler: Handler, single: Wrap, stream: Wrap) -> Handler:
    """The handler with its behaviour in `single`, or in `stream` if it gives many answers."""
    kind, make = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    wrap = stream if handler.response_streaming else single
    made: Handler = make(
        wrap(getattr(handler, kind)), handler.request_deserializer, handler.response_serializer
    )
    return made


def behaviour_of(handler: Handler) -> Behaviour:
    """What the handler calls."""
    kind, _ = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    behaviour: Behaviour = getattr(handler, kind)
    return behaviour


_KINDS: dict[tuple[bool, bool], tuple[str, Callable[..., Handler]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
"""By whether requests and answers are streams: the attribute that has the behaviour of such a
handler, and what makes one."""
