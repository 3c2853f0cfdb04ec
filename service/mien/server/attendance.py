"""Whether anybody waits for what takes long."""

from collections.abc import Callable

import grpc


class Unattended(grpc.RpcError):
    """The caller has gone. Never leaves the server."""


def attended(context: grpc.ServicerContext) -> Callable[[], None]:
    """To be called now and then in the midst of long work: raises Unattended to end it."""

    def check() -> None:
        if not context.is_active():
            raise Unattended

    return check
