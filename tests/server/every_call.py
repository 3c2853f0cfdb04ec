"""Every call of every service, made from nothing but its descriptor."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien.v1 import embedding_pb2, gallery_pb2, maintenance_pb2, match_pb2, model_pb2

FILES = (embedding_pb2, gallery_pb2, maintenance_pb2, match_pb2, model_pb2)
METHODS: list[MethodDescriptor] = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
IDS = [method.name for method in METHODS]


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def request_of(method: MethodDescriptor, gallery: str) -> Any:
    """A request that names the gallery wherever it can."""
    request = GetMessageClass(method.input_type)()
    _fill(request, gallery)
    return request


def _fill(message: Any, gallery: str, above: Sequence[Descriptor] = ()) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.name == "gallery_id":
            message.gallery_id = gallery
        elif field.message_type and not field.is_repeated and field.message_type not in above:
            inner = GetMessageClass(field.message_type)()
            _fill(inner, gallery, (*above, message.DESCRIPTOR))
            if inner.ByteSize():
                getattr(message, field.name).CopyFrom(inner)


def make(
    channel: grpc.Channel, method: MethodDescriptor, *requests: Any, key: str | None = None
) -> list[Any]:
    """The answers."""
    streams = "stream" if method.client_streaming else "unary"
    answers = "stream" if method.server_streaming else "unary"
    call: Any = getattr(channel, f"{streams}_{answers}")(
        path_of(method),
        lambda message: message.SerializeToString(),
        GetMessageClass(method.output_type).FromString,
    )
    metadata = [("authorization", f"Bearer {key}")] if key else None
    argument = iter(requests) if method.client_streaming else requests[0]
    answer = call(argument, metadata=metadata, timeout=20)
    return list(answer) if method.server_streaming else [answer]


def raw(channel: grpc.Channel, method: MethodDescriptor, *requests: bytes) -> list[bytes]:
    """Make a call with bytes instead of messages."""
    shape = ["stream" if m else "unary" for m in (method.client_streaming, method.server_streaming)]
    call: Any = getattr(channel, "_".join(shape))(path_of(method))
    answer = call(iter(requests) if method.client_streaming else requests[0], timeout=20)
    return list(answer) if method.server_streaming else [answer]


def refusal(call: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Code and reason of a failed call."""
    assert isinstance(call, grpc.Call)
    status = rpc_status.from_call(call)
    assert status, call
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return call.code(), info.reason
