"""The one place where a channel is made, and where credentials go."""

import grpc
import grpc.aio

from mien.wire import MESSAGE_LIMITS

_OPTIONS = [
    *MESSAGE_LIMITS,
    ("grpc.enable_retries", 0),  # `mien.client.attempts` retries, which knows what is safe
]


def connect(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=_OPTIONS)


def connect_async(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=_OPTIONS)
