"""How often somebody may ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien.client import Client, search
from mien.errors import RateLimited
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.server.access import keyring, rates
from mien.server.access.keys import Role, create
from mien.server.access.rates import Rates
from mien.server.server import Server
from mien.server.settings import Settings
from tests.faces import encoded


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(limits: Rates, who: str = "me") -> int:
    """How many calls are let through now."""
    for count in range(1000):
        try:
            limits.take(who)
        except RateLimited:
            return count
    return 1000


def test_a_burst_and_then_so_many_a_second() -> None:
    clock = Clock()
    limits = Rates(2, 5, clock)
    assert taken(limits) == 5
    clock.now = 1.0
    assert taken(limits) == 2
    clock.now = 1.25
    assert taken(limits) == 0
    clock.now = 1.5
    assert taken(limits) == 1
    clock.now = 1000.0
    assert taken(limits) == 5


def test_it_says_when_there_is_a_token_again() -> None:
    clock = Clock()
    limits = Rates(4, 1, clock)
    limits.take("me")
    with pytest.raises(RateLimited, match="more than 4 calls a second") as caught:
        limits.take("me")
    assert caught.value.retry_after == pytest.approx(0.25)
    clock.now = 0.25
    limits.take("me")


def test_each_has_a_bucket_of_his_own() -> None:
    limits = Rates(1, 3, Clock())
    assert taken(limits, "me") == 3
    assert taken(limits, "you") == 3


def test_zero_is_no_limit() -> None:
    assert taken(Rates(0, 1, Clock())) == 1000


def test_made_up_addresses_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_BUCKETS", 10)
    limits = Rates(1, 1, Clock())
    for number in range(100):
        limits.take(f"peer:{number}")
    assert len(limits._buckets) == 10
    assert taken(limits, "peer:99") == 0


def test_a_stream_waits_for_its_tokens_and_no_longer_than_its_caller() -> None:
    limits = Rates(50, 1)
    limits.take("me")
    limits.wait("me", lambda: True)
    with pytest.raises(RateLimited):
        limits.take("me")
    Rates(0.001, 1).wait("me", lambda: False)


@pytest.fixture
def limited(bundle: Bundle, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """An address and two keys of a server that allows for a call an hour after three."""
    file = tmp_path / "keys.json"
    keys = [create(file, frozenset(Role))[1] for _ in range(2)]
    settings = Settings(
        bundle.folder,
        tmp_path / "data",
        port=0,
        keys=file,
        calls_per_second=1 / 3600,
        calls_burst=3,
    )
    with Server(settings) as server:
        yield f"127.0.0.1:{server.port}", keys[0], keys[1]


def test_a_key_that_asks_too_often_is_told_when_to_ask_again(
    limited: tuple[str, str, str],
) -> None:
    address, one, other = limited
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary("/mien.v1.ModelService/GetModel")
        for _ in range(3):
            call(b"", metadata=[("authorization", f"Bearer {one}")])
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", metadata=[("authorization", f"Bearer {one}")])
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(caught.value)
        assert status
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert info.reason == "RATE_LIMITED"
        assert 3500 < retry.retry_delay.seconds <= 3600
    with Client(address, api_key=other) as client:
        client.model()
        assert client.is_serving()


def test_without_keys_each_address_is_limited(bundle: Bundle, tmp_path: Path) -> None:
    settings = Settings(
        bundle.folder, tmp_path / "data", port=0, calls_per_second=1 / 3600, calls_burst=2
    )
    with Server(settings) as server, Client(f"127.0.0.1:{server.port}", deadline=5) as client:
        client.model()
        client.model()
        with pytest.raises(RateLimited):
            client.model()


def test_a_stream_is_slowed_down_and_not_ended(bundle: Bundle, tmp_path: Path) -> None:
    settings = Settings(
        bundle.folder, tmp_path / "data", port=0, calls_per_second=20, calls_burst=2
    )
    with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client:
        client.create_gallery("g")
        asked = [(str(n), search("g", encoded(n, 0), RawThreshold(0))) for n in range(6)]
        assert len(list(client.identify_stream(asked))) == 6


def test_the_limits_are_looked_at_within_a_second() -> None:
    assert keyring.LOOK_SECONDS <= 2, "`mien keys` says that a server notices within seconds"
