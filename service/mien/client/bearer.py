"""The API key, sent with every call of a channel."""

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import grpc.aio


class _Details(NamedTuple):
    """What grpc asks of a `ClientCallDetails`."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """For a channel that waits."""

    def __init__(self, key: str) -> None:
        self._entry = _entry(key)

    def _with_key(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        more = _Details(
            details.method,
            details.timeout,
            (*(details.metadata or ()), self._entry),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(more, request)

    intercept_unary_unary = _with_key  # type: ignore[assignment]  # one for all
    intercept_unary_stream = _with_key  # type: ignore[assignment]  # one for all
    intercept_stream_unary = _with_key  # type: ignore[assignment]  # one for all
    intercept_stream_stream = _with_key  # type: ignore[assignment]  # one for all


def awaited(key: str) -> list[grpc.aio.ClientInterceptor]:
    """For a channel that is awaited: it takes one interceptor for each kind of call."""

    async def with_key(_self: Any, continuation: Any, details: Any, request: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), _entry(key))
        more = grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )
        return await continuation(more, request)

    kinds = {
        "intercept_unary_unary": grpc.aio.UnaryUnaryClientInterceptor,
        "intercept_unary_stream": grpc.aio.UnaryStreamClientInterceptor,
        "intercept_stream_unary": grpc.aio.StreamUnaryClientInterceptor,
        "intercept_stream_stream": grpc.aio.StreamStreamClientInterceptor,
    }
    return [type("Bearer", (base,), {name: with_key})() for name, base in kinds.items()]


def _entry(key: str) -> tuple[str, str]:
    return "authorization", f"Bearer {key}"
