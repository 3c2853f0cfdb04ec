"""Errors to status codes, in one place."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from mien import errors

DOMAIN = "mien"
MAX_MESSAGE = 1000
"""Characters of a message that travel: it repeats what the caller sent, and trailers are small."""

CODES: dict[type[errors.MienError], "code_pb2.Code.ValueType"] = {
    errors.InvalidArgument: code_pb2.INVALID_ARGUMENT,
    errors.FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.QueueFull: code_pb2.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: code_pb2.DEADLINE_EXCEEDED,
    errors.CallerGone: code_pb2.CANCELLED,
    errors.ServerUnavailable: code_pb2.UNAVAILABLE,
    errors.Internal: code_pb2.INTERNAL,
}
"""The branches of the tree in `mien.errors`; the only place where they meet gRPC."""

_log = logging.getLogger(__name__)


class ErrorInterceptor(grpc.ServerInterceptor):
    """Aborts a call with the status of the error that its handler raised.

    What is no MienError becomes INTERNAL with a fixed sentence; its trace goes to the log only.
    """

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        behaviour = handler.unary_unary

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return behaviour(request, context)
            except errors.MienError as error:
                abort(context, error)
            except Exception:
                _log.exception("%s failed", handler_call_details.method)
                abort(context, errors.Internal("the server failed; its log has the cause"))

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


def abort(context: grpc.ServicerContext, error: errors.MienError) -> NoReturn:
    """End the call with the error's code, message and details."""
    message = str(error)[:MAX_MESSAGE]
    status = status_pb2.Status(code=code_of(error), message=message, details=_details(error))
    context.abort_with_status(rpc_status.to_status(status))


def _details(error: errors.MienError) -> list[any_pb2.Any]:
    """`google.rpc.ErrorInfo`, and `google.rpc.RetryInfo` for what may be sent again as it is."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN))
    if not isinstance(error, errors.QueueFull):
        return [info]
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromTimedelta(timedelta(seconds=error.retry_seconds))
    again = any_pb2.Any()
    again.Pack(retry)
    return [info, again]


def code_of(error: errors.MienError) -> "code_pb2.Code.ValueType":
    """The status code of an error's branch."""
    return next(code for branch, code in CODES.items() if isinstance(error, branch))
