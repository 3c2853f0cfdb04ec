"""Interceptors are asked once for a method, over a real socket."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from mien.server.calls.call import arrived, begin, current_call, current_request_id
from mien.server.calls.doorway import Doorway
from mien.server.calls.handlers import Handlers

PATIENCE = 10


class Asked(grpc.ServerInterceptor):
    """Counts for which methods it was asked."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    def intercept_service(
        self, continuation: Callable[..., Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        self.methods.append(handler_call_details.method)
        return continuation(handler_call_details)


class House:
    """A server whose doorway has one method, which tells what is known of its call."""

    def __init__(self) -> None:
        self.doorway, self.asked = Doorway(), Asked()
        self.server = grpc.server(
            ThreadPoolExecutor(2),
            handlers=[self.doorway],
            interceptors=[Handlers(self.doorway), self.asked],
        )
        tell: Any = grpc.unary_unary_rpc_method_handler(_tell)
        self.doorway.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("mien.v1.T", {"tell": tell})]
        )
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, method: str = "/mien.v1.T/tell") -> str:
        ask: Any = self.channel.unary_unary(method)
        return str(ask(b"", timeout=PATIENCE), "ascii")


def _tell(_: bytes, context: grpc.ServicerContext) -> bytes:
    call = begin("tell", context)
    assert current_call() is call
    assert current_request_id() == call.request_id
    assert 0 <= call.began - arrived() < PATIENCE
    return call.request_id.encode()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    with house.channel:
        yield house
    house.server.stop(None).wait()


def test_each_method_is_made_once(house: House) -> None:
    house.doorway.open()
    for _ in range(5):
        house.call()
    assert house.asked.methods == ["/mien.v1.T/tell"]


def test_what_was_refused_at_the_door_is_answered_when_it_is_open(house: House) -> None:
    for _ in range(2):
        with pytest.raises(grpc.RpcError, match="loading its model"):
            house.call()
    house.doorway.open()
    assert house.call()
    assert len(house.asked.methods) == 3


def test_unknown_methods_are_not_kept(house: House) -> None:
    """Or whoever makes them up fills the memory."""
    house.doorway.open()
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            house.call("/mien.v1.T/other")
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert len(house.asked.methods) == 2


def test_ids_of_calls_differ(house: House) -> None:
    house.doorway.open()
    ids = {house.call() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_outside_of_calls_there_is_no_id() -> None:
    assert current_request_id() == ""
