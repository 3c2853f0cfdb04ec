"""Errors to status codes, in one place."""

import logging
from collections.abc import Callable
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
    errors.Internal: code_pb2.INTERNAL,
}
"""The branches of the tree in `mien.errors`; the only place where they meet gRPC."""

_log = logging.getLogger(__name__)


class ErrorInterceptor(grpc.ServerInterceptor):
    """Aborts a call with the status of the error that its handler raised.

    What is no MienError becomes INTERNAL with a fixed sentence; its trace goes to the log only.
    A call whose caller has gone, or whose deadline passed in the queue, costs nothing more.
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
            if not context.is_active():
                context.abort(grpc.StatusCode.CANCELLED, "nobody waits for the answer any more")
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
    """End the call with the error's code, message and `google.rpc.ErrorInfo`."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN))
    message = str(error)[:MAX_MESSAGE]
    status = status_pb2.Status(code=code_of(error), message=message, details=[detail])
    context.abort_with_status(rpc_status.to_status(status))


def code_of(error: errors.MienError) -> "code_pb2.Code.ValueType":
    """The status code of an error's branch."""
    return next(code for branch, code in CODES.items() if isinstance(error, branch))
