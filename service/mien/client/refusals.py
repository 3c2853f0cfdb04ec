"""Statuses of failed calls to the exceptions of `mien.errors`."""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien import errors
from mien.wire import ALL_REASONS, MAX_MESSAGE_BYTES


def translated(error: grpc.RpcError, address: str) -> errors.MienError:
    """The exception that a failed call's status stands for."""
    call: Any = error  # every RpcError of a call is one, of grpc as of grpc.aio
    code, message = call.code(), call.details() or ""
    info, retry = _details(call)
    if info.reason:
        refused = errors.of_reason(info.reason)(message)
        if isinstance(refused, errors.ResourceExhausted):
            refused.retry_after = _seconds(retry)
        if isinstance(refused, errors.FaceRefused) and ALL_REASONS in info.metadata:
            refused.reasons = tuple(info.metadata[ALL_REASONS].split(","))
        return refused
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded(
            f"no answer from {address} in time ({message}); give the call a longer deadline"
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        # Cancelled: a server that stops let go of the call. We ourselves never cancel one.
        return errors.ServerUnavailable(
            f"no answer from {address} ({message}); is `mien serve` running there?"
        )
    return errors.Internal(message)


def _exhausted(message: str) -> errors.MienError:
    """What gRPC itself refuses: too large a message, or one call too many."""
    if "larger than max" in message:
        return errors.ImageTooLarge(
            f"the request is too large for one message of {MAX_MESSAGE_BYTES:,} bytes "
            f"({message}); send smaller pictures, or embeddings"
        )
    return errors.QueueFull(f"the server takes no more calls ({message}); ask again later")


def _details(
    call: Any,
) -> tuple["error_details_pb2.ErrorInfo", "error_details_pb2.RetryInfo | None"]:
    """What the server says of the reason, and when to try again."""
    status = rpc_status.from_call(call)
    info, retry = error_details_pb2.ErrorInfo(), None
    for detail in status.details if status else ():
        if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
        else:
            detail.Unpack(info)
    return info, retry


def _seconds(retry: "error_details_pb2.RetryInfo | None") -> float | None:
    return None if retry is None else float(retry.retry_delay.ToTimedelta().total_seconds())
