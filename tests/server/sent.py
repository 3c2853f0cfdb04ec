"""What tests send that is good, or nearly, and what comes back."""

from collections.abc import Iterable

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien.client import Client
from mien.v1.probe_pb2 import Embedding
from mien.v1.reason_pb2 import Reason
from tests.faces import encoded


def embedding(client: Client, person: int, shot: int = 0) -> Embedding:
    return client.embed([encoded(person, shot)]).items[0].ok.embedding


def broken(good: Embedding, **changes: object) -> Embedding:
    copy = Embedding()
    copy.CopyFrom(good)
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def refusal(call: grpc.RpcError) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and domain of a failed call."""
    assert isinstance(call, grpc.Call)
    status = rpc_status.from_call(call)
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return call.code(), info.reason, info.domain


def reasons(numbers: Iterable[int]) -> list[str]:
    """Names without their prefix, as `mien.errors` has them."""
    return [Reason.Name(Reason.ValueType(each)).removeprefix("REASON_") for each in numbers]
