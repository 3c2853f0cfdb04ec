"""Handlers of a server that listens before it can answer."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty

from mien.errors import ServerUnavailable
from mien.server.calls.interceptor import Handler


class Doorway(grpc.GenericRpcHandler):
    """Knows the services when a server starts, which is when gRPC wants to be told, and what
    answers them when that has been loaded.

    In between their calls are refused with ServerUnavailable, and health is asked in vain only
    for whether the server is ready. Takes the place of a server in generated `add_..._to_server`.
    """

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether what answers a call now answers it henceforth."""
        return self._open

    def open(self) -> None:
        """Everything was added."""
        self._open = True

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Nothing: a faster way to the same handlers, for servers that know them at the start."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        if not self._open:
            ours = handler_call_details.method.startswith("/mien.v1.")
            return _REFUSED if ours else None
        found = (each.service(handler_call_details) for each in list(self._handlers))
        return next((handler for handler in found if handler is not None), None)


def _refuse(_request: Any, _context: grpc.ServicerContext) -> NoReturn:
    raise ServerUnavailable("the server is loading its model and galleries; ask again in a moment")


_REFUSED: Handler = grpc.unary_unary_rpc_method_handler(
    _refuse, Empty.FromString, Empty.SerializeToString
)
"""Of whatever kind the call is: the first message, of which nothing is looked at, is refused."""
