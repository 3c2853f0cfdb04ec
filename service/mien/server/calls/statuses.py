"""Errors to status codes, in one place."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from mien import errors
from mien.server.calls.interceptor import Behaviour, Handler, Interceptor, wrapped
from mien.wire import ALL_REASONS

DOMAIN = "mien"
MAX_MESSAGE = 1000
"""Characters of a message that travel: it repeats what the caller sent, and trailers are small."""

CODES: dict[type[errors.MienError], "code_pb2.Code.ValueType"] = {
    errors.InvalidArgument: code_pb2.INVALID_ARGUMENT,
    errors.FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.Unauthenticated: code_pb2.UNAUTHENTICATED,
    errors.PermissionDenied: code_pb2.PERMISSION_DENIED,
    errors.ResourceExhausted: code_pb2.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: code_pb2.DEADLINE_EXCEEDED,
    errors.CallerGone: code_pb2.CANCELLED,
    errors.ServerUnavailable: code_pb2.UNAVAILABLE,
    errors.Internal: code_pb2.INTERNAL,
}
"""The branches of the tree in `mien.errors`; the only place where they meet gRPC."""

_log = logging.getLogger(__name__)


class ErrorInterceptor(Interceptor):
    """Aborts a call of any of the four kinds with the status of the error that its handler raised.

    What is no MienError becomes INTERNAL with a fixed sentence; its trace goes to the log only.
    A call whose caller has gone costs nothing more. Answers that were sent before a stream fails
    have arrived.
    """

    def wrap(self, handler: Handler, method: str) -> Handler:
        return wrapped(handler, partial(_single, method=method), partial(_stream, method=method))


def _single(behaviour: Behaviour, method: str) -> Behaviour:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        _check_waiting(context)
        try:
            return behaviour(request, context)
        except Exception as error:
            _end(context, method, error)

    return answer


def _stream(behaviour: Behaviour, method: str) -> Behaviour:
    """As `_single`; the behaviour is at work until its last answer, and may fail until then."""

    def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        _check_waiting(context)
        try:
            yield from behaviour(request, context)
        except Exception as error:
            _end(context, method, error)

    return answers


def _check_waiting(context: grpc.ServicerContext) -> None:
    if not context.is_active():
        context.abort(grpc.StatusCode.CANCELLED, "nobody waits for the answer any more")


def _end(context: grpc.ServicerContext, method: str, error: Exception) -> NoReturn:
    """With the status of what a behaviour raised."""
    if isinstance(error, errors.MienError):
        abort(context, error)
    # A stream of requests ends with RpcError when its caller has gone: there is nobody to answer.
    if isinstance(error, grpc.RpcError) and not context.is_active():
        context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
    _log.error("%s failed", method, exc_info=error)
    abort(context, errors.Internal("the server failed; its log has the cause"))


def abort(context: grpc.ServicerContext, error: errors.MienError) -> NoReturn:
    """End the call with the error's code, message, `google.rpc.ErrorInfo`, and `RetryInfo` for
    what may be sent again as it is."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if isinstance(error, errors.FaceRefused) and len(error.reasons) > 1:
        info.metadata[ALL_REASONS] = ",".join(error.reasons)
    details: list[Message] = [info]
    if isinstance(error, errors.ResourceExhausted) and error.retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(timedelta(seconds=error.retry_after))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    message = str(error)[:MAX_MESSAGE]
    status = status_pb2.Status(code=code_of(error), message=message, details=map(_packed, details))
    context.abort_with_status(rpc_status.to_status(status))


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def code_of(error: errors.MienError) -> "code_pb2.Code.ValueType":
    """The status code of an error's branch."""
    return next(code for branch, code in CODES.items() if isinstance(error, branch))
