"""What answers a method, made once for all calls of it."""

import grpc

from mien.server.calls.call import arrive
from mien.server.calls.doorway import Doorway
from mien.server.calls.interceptor import Continuation, Handler


class Handlers(grpc.ServerInterceptor):
    """Stands before all other interceptors, and asks them once for each method that there is.

    gRPC asks anew for each call, and each interceptor would wrap the handler anew. Of a call that
    comes before the doorway is open nothing is kept: the next is answered otherwise.
    """

    def __init__(self, doorway: Doorway) -> None:
        self._doorway = doorway
        self._made: dict[str, Handler] = {}

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        arrive()
        method = handler_call_details.method
        if made := self._made.get(method):
            return made
        lasting = self._doorway.is_open
        handler = continuation(handler_call_details)
        if handler and lasting:
            self._made[method] = handler
        return handler
