"""A flood of calls without an accepted key: it is slowed down, and fills no disk."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien.client import Client
from mien.errors import RateLimited
from mien.model.bundle import Bundle
from mien.server.access.keys import Role, create
from mien.server.access.wrong_keys import WrongKeys
from mien.server.server import Server
from mien.server.settings import Settings
from tests.server.access.test_rates import Clock
from tests.server.every_call import IDS, METHODS, make, refusal, request_of

UNAUTHENTICATED = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
TOO_MANY = (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
PER_MINUTE = 5


def noted(wrong: WrongKeys, address: str) -> int:
    """How many are told that their key is not accepted."""
    for count in range(1000):
        try:
            wrong.take(address)
        except RateLimited:
            return count
    return 1000


class TestWrongKeys:
    def test_an_address_has_a_minutes_worth_at_once_and_so_many_a_minute(self) -> None:
        clock = Clock()
        wrong = WrongKeys(6, clock)
        assert noted(wrong, "a") == 6
        clock.now = 10.0
        assert noted(wrong, "a") == 1
        with pytest.raises(RateLimited, match="more than 6 calls a minute without") as caught:
            wrong.take("a")
        assert caught.value.retry_after == pytest.approx(10)

    def test_all_addresses_together_have_ten_times_as_much(self) -> None:
        wrong = WrongKeys(3, Clock())
        assert [noted(wrong, str(number)) for number in range(12)] == [3] * 10 + [0] * 2

    def test_less_than_one_a_minute_lets_one_through(self) -> None:
        clock = Clock()
        wrong = WrongKeys(0.5, clock)
        assert noted(wrong, "a") == 1
        clock.now = 119.0
        assert noted(wrong, "a") == 0
        clock.now = 121.0
        assert noted(wrong, "a") == 1

    def test_zero_is_no_limit(self) -> None:
        assert noted(WrongKeys(0, Clock()), "a") == 1000


@dataclass
class Strict:
    server: Server
    key: str
    audit: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture
def strict(bundle: Bundle, tmp_path: Path) -> Iterator[Strict]:
    """A server that wants keys, and forgives five wrong ones a minute."""
    file, audit = tmp_path / "keys.json", tmp_path / "audit.jsonl"
    _, key = create(file, frozenset(Role))
    settings = Settings(
        bundle.folder,
        tmp_path / "data",
        port=0,
        keys=file,
        audit=audit,
        wrong_keys_per_minute=PER_MINUTE,
    )
    with Server(settings) as server:
        yield Strict(server, key, audit)


def outcomes(channel: grpc.Channel, key: str | None, count: int) -> list[Any]:
    (method,) = (each for each in METHODS if each.name == "Identify")
    return [_outcome(channel, method, key) for _ in range(count)]


def _outcome(channel: grpc.Channel, method: Any, key: str | None) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        make(channel, method, request_of(method, "g"), key=key)
    return refusal(caught.value)


@pytest.mark.parametrize("key", ["mien_000000000000_x", None])
def test_a_flood_is_told_to_come_later_and_leaves_few_lines(
    strict: Strict, key: str | None
) -> None:
    with grpc.insecure_channel(strict.address) as channel:
        found = Counter(outcomes(channel, key, 60))
        assert found == {UNAUTHENTICATED: PER_MINUTE, TOO_MANY: 60 - PER_MINUTE}
    assert [line["reasons"] for line in strict.lines()] == [["UNAUTHENTICATED"]] * PER_MINUTE
    strict.server.stop()
    last = strict.lines()[PER_MINUTE:]
    assert [(each["reasons"], each["times"]) for each in last] == [
        (["RATE_LIMITED"], 60 - PER_MINUTE)
    ]
    assert last[0]["who"] == "peer:127.0.0.1"
    assert last[0]["outcome"] == "refused"


def test_it_is_said_when_to_come_again(strict: Strict) -> None:
    with grpc.insecure_channel(strict.address) as channel:
        outcomes(channel, None, PER_MINUTE)
        (method,) = (each for each in METHODS if each.name == "GetModel")
        with pytest.raises(grpc.RpcError) as caught:
            make(channel, method, request_of(method, "g"))
        call: Any = caught.value
        status: Any = rpc_status.from_call(call)
        retry = error_details_pb2.RetryInfo()
        assert status.details[1].Unpack(retry)
        assert 10 < retry.retry_delay.seconds <= 60 / PER_MINUTE


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_every_call_counts(strict_for_all: grpc.Channel, method: Any) -> None:
    assert _outcome(strict_for_all, method, "mien_000000000000_x") == TOO_MANY


@pytest.fixture(scope="module")
def strict_for_all(
    bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[grpc.Channel]:
    """A server that has had all the wrong keys that it forgives, for an hour."""
    folder = tmp_path_factory.mktemp("strict")
    create(folder / "keys.json", frozenset(Role))
    settings = Settings(
        bundle.folder,
        folder / "data",
        port=0,
        keys=folder / "keys.json",
        wrong_keys_per_minute=1 / 60,
    )
    with (
        Server(settings) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        assert outcomes(channel, None, 1) == [UNAUTHENTICATED]
        yield channel


def test_a_key_that_is_accepted_is_so_whatever_others_of_its_address_do(strict: Strict) -> None:
    with (
        grpc.insecure_channel(strict.address) as channel,
        Client(strict.address, api_key=strict.key) as client,
    ):
        assert outcomes(channel, None, PER_MINUTE + 1)[-1] == TOO_MANY
        client.create_gallery("g")
        assert client.get_gallery("g").gallery_id == "g"
        assert client.is_serving()
        assert outcomes(channel, None, 1) == [TOO_MANY]
