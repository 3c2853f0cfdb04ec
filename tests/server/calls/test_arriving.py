"""Requests that are no messages, or never come, over a real socket."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2

from mien.client import Client
from mien.errors import QueueFull
from mien.model.bundle import Bundle
from mien.server.access.keys import Role, create
from mien.server.calls import arriving
from mien.server.calls.arriving import Unread, Waits, Watch
from mien.server.readiness import LIVE, MAX_WATCHES
from mien.server.server import SERVICES, Server
from mien.server.settings import Settings
from mien.v1 import embedding_pb2, maintenance_pb2
from mien.v1.embedding_pb2_grpc import EmbeddingServiceStub
from mien.v1.maintenance_pb2_grpc import MaintenanceServiceStub
from tests.faces import encoded
from tests.server.every_call import IDS, METHODS, path_of, raw, refusal
from tests.server.frames import begun, connect
from tests.server.waiting import wait

EMBED = b"/mien.v1.EmbeddingService/Embed"
HEALTH = "/grpc.health.v1.Health/"
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_what_is_no_message_is_an_invalid_request_of_every_call(
    channel: grpc.Channel, method: MethodDescriptor
) -> None:
    for content in (b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f"):
        with pytest.raises(grpc.RpcError) as caught:
            raw(channel, method, content)
        assert refusal(caught.value) == INVALID


def test_health_is_told_the_same(channel: grpc.Channel) -> None:
    methods: Any = health_pb2.DESCRIPTOR.services_by_name["Health"].methods
    for method in methods:
        with pytest.raises(grpc.RpcError) as caught:
            raw(channel, method, b"\xff" * 9)
        assert refusal(caught.value) == INVALID, method.name


def test_what_came_before_it_in_a_stream_is_answered(channel: grpc.Channel) -> None:
    (method,) = (each for each in METHODS if each.name == "EmbedStream")
    image: Any = {"content": encoded(1, 0)}
    good = embedding_pb2.EmbedStreamRequest(tag="t", image=image).SerializeToString()
    shape: Any = channel.stream_stream(path_of(method))
    answers = shape(iter([good, b"\xff" * 9]), timeout=20)
    assert embedding_pb2.EmbedStreamResponse.FromString(next(answers)).HasField("ok")
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert refusal(caught.value) == INVALID


def test_a_call_without_a_request_is_refused(channel: grpc.Channel) -> None:
    """As a stream of none, which is the same on the wire."""
    call: Any = channel.stream_unary(EMBED.decode())
    with pytest.raises(grpc.RpcError) as caught:
        call(iter([]), timeout=20)
    assert refusal(caught.value) == INVALID


class TestWaits:
    """By a clock that only goes forward: a second is an hour here."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], float]:
        told = [100.0]
        monkeypatch.setattr("mien.server.calls.arriving.time.monotonic", lambda: told[0])

        def after(seconds: float) -> float:
            told[0] += seconds
            return told[0]

        return after

    def test_a_first_request_has_its_own_limit(self, now: Callable[[float], float]) -> None:
        waits = Waits(lambda: None, first=3, idle=10)
        waits.reading()
        assert not waits.too_long(now(2))
        assert waits.too_long(now(2))
        waits.read()
        waits.reading()
        assert not waits.too_long(now(9))
        assert waits.too_long(now(2))

    def test_an_answer_that_is_not_taken_counts(self, now: Callable[[float], float]) -> None:
        waits = Waits(lambda: None, first=3, idle=10)
        waits.sending()
        assert not waits.too_long(now(9))
        assert waits.too_long(now(2))
        waits.sent()
        assert not waits.too_long(now(100))

    def test_what_the_server_does_itself_does_not(self, now: Callable[[float], float]) -> None:
        waits = Waits(lambda: None, first=3, idle=10)
        waits.reading()
        waits.read()
        assert not waits.too_long(now(1000))

    def test_who_is_answered_may_send_nothing_for_a_while(
        self, now: Callable[[float], float]
    ) -> None:
        waits = Waits(lambda: None, first=3, idle=10)
        waits.reading()
        waits.read()
        waits.reading()
        now(9)
        waits.sending()
        waits.sent()
        assert not waits.too_long(now(9))
        assert waits.too_long(now(2))


def test_a_watch_ends_with_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "LOOK_SECONDS", 0.01)
    watch, cut = Watch(0.05, 0.05), threading.Event()
    watch.begin(cut.set).reading()
    assert cut.wait(5)
    watch.close()
    watch.close()


@pytest.fixture
def brisk(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that waits for nobody longer than 1 second, and answers two calls at once."""
    monkeypatch.setattr(arriving, "LOOK_SECONDS", 0.05)
    settings = Settings(
        bundle.folder, tmp_path / "data", port=0, calls=2, receive_seconds=1, idle_seconds=1
    )
    with Server(settings) as server:
        yield server


class TestUnread:
    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        told = [100.0]
        monkeypatch.setattr("mien.server.calls.arriving.time.monotonic", lambda: told[0])
        return told

    def begun(self, unread: Unread, who: str, cut: list[str], name: str) -> Waits:
        waits = Waits(lambda: cut.append(name), 1, 1)
        unread.begin(who, waits)
        return waits

    def test_nobody_has_more_than_there_may_be(self, now: list[float]) -> None:
        unread, cut = Unread(2), list[str]()
        first = self.begun(unread, "a", cut, "first")
        self.begun(unread, "a", cut, "second")
        with pytest.raises(QueueFull, match="2 calls are open that have not brought"):
            self.begun(unread, "a", cut, "third")
        self.begun(unread, "b", cut, "another's")
        unread.end("a", first)
        self.begun(unread, "a", cut, "fourth")
        assert cut == []

    def test_the_oldest_makes_room_once_it_had_its_time(self, now: list[float]) -> None:
        unread, cut = Unread(2), list[str]()
        first = self.begun(unread, "a", cut, "first")
        now[0] += 0.9
        self.begun(unread, "a", cut, "second")
        now[0] += 0.2
        self.begun(unread, "a", cut, "third")
        assert cut == ["first"]
        unread.end("a", first)
        with pytest.raises(QueueFull):
            self.begun(unread, "a", cut, "fourth")
        now[0] += 5
        self.begun(unread, "a", cut, "fifth")
        assert cut == ["first", "second"]

    def test_nothing_is_kept_of_those_who_have_none(self, now: list[float]) -> None:
        unread = Unread(2)
        waits = [self.begun(unread, str(number % 5), [], "") for number in range(10)]
        for number, each in enumerate(waits):
            unread.end(str(number % 5), each)
        assert not unread._calls


class TestHeldByOne:
    """One address opens more calls than the server has threads, and finishes none of them."""

    def test_his_next_call_and_everybodys_health_are_answered(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        settings = Settings(bundle.folder, tmp_path / "data", port=0, calls=4)
        with Server(settings) as server, ExitStack() as stack:
            address = f"127.0.0.1:{server.port}"
            for _ in range(305):
                stack.enter_context(connect(address, begun(EMBED)))
            unread = server._arrival._unread
            wait(lambda: len(unread._calls.get("peer:127.0.0.1", {})) == 4)
            with Client(address, deadline=10) as client:
                began = time.monotonic()
                assert client.is_serving()
                assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
                assert time.monotonic() - began < settings.receive_seconds / 3

    def test_who_has_no_key_keeps_no_thread_at_all(self, bundle: Bundle, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        _, key = create(file, frozenset(Role))
        settings = Settings(bundle.folder, tmp_path / "data", port=0, calls=4, keys=file)
        with Server(settings) as server, ExitStack() as stack:
            address = f"127.0.0.1:{server.port}"
            for _ in range(305):
                stack.enter_context(connect(address, begun(EMBED)))
            with Client(address, api_key=key, deadline=10) as client:
                assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
            assert not server._arrival._unread._calls


class TestCutOff:
    def test_senders_who_never_finish_give_their_threads_back(self, brisk: Server) -> None:
        """More of them than there are threads, so that for a while nobody else is answered."""
        address = f"127.0.0.1:{brisk.port}"
        with ExitStack() as stack, Client(address, deadline=20) as client:
            for _ in range(12):
                stack.enter_context(connect(address, begun(EMBED)))
            for _ in range(12):
                stack.enter_context(connect(address, begun(EMBED, message=b"")))
            assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
            assert client.is_serving()

    @pytest.mark.parametrize("name", ["EmbedStream", "IdentifyStream", "EnrollBatch"])
    def test_streams_that_bring_nothing_end(self, brisk: Server, name: str) -> None:
        (method,) = (each for each in METHODS if each.name == name)
        with pytest.raises(grpc.RpcError) as caught:
            self._silent(brisk, method, lambda call, requests: list(call(requests, timeout=20)))
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.CANCELLED

    def test_a_restore_that_stops_in_the_middle_ends_and_leaves_nothing(
        self, brisk: Server, tmp_path: Path
    ) -> None:
        ended = threading.Event()

        def pieces() -> Iterator[maintenance_pb2.RestoreGalleryRequest]:
            yield maintenance_pb2.RestoreGalleryRequest(gallery_id="g", content=b"x" * 1000)
            ended.wait(20)

        with grpc.insecure_channel(f"127.0.0.1:{brisk.port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                MaintenanceServiceStub(channel).RestoreGallery(pieces(), timeout=20)
            ended.set()
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.CANCELLED
        wait(lambda: not list((tmp_path / "data").glob("mien-copy-*")))

    def test_streams_that_take_nothing_end(self, brisk: Server) -> None:
        """Their places are free again for others."""
        address, picture = f"127.0.0.1:{brisk.port}", encoded(1, 0)

        def pictures() -> Iterator[embedding_pb2.EmbedStreamRequest]:
            image: Any = {"content": picture}
            while True:
                yield embedding_pb2.EmbedStreamRequest(tag="x" * 128, image=image)

        with grpc.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
            answers = EmbeddingServiceStub(channel).EmbedStream(pictures())
            next(answers)
            wait(lambda: not brisk.streams.open)
            with pytest.raises(grpc.RpcError):
                list(answers)

    def test_a_stream_that_pauses_for_less_goes_on(self, brisk: Server) -> None:
        def pictures() -> Iterator[tuple[str, bytes]]:
            for shot in range(4):
                time.sleep(0.6)
                yield str(shot), encoded(1, shot)

        with Client(f"127.0.0.1:{brisk.port}") as client:
            assert len(list(client.embed_stream(pictures()))) == 4

    def _silent(self, server: Server, method: MethodDescriptor, make: Any) -> None:
        ended = threading.Event()

        def nothing() -> Iterator[bytes]:
            ended.wait(20)
            yield from ()

        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            try:
                make(channel.stream_stream(path_of(method)), nothing())
            finally:
                ended.set()


class TestHealth:
    def test_all_are_listed(self, channel: grpc.Channel) -> None:
        messages: Any = health_pb2
        call: Any = channel.unary_unary(HEALTH + "List")
        listed = messages.HealthListResponse.FromString(call(b"", timeout=20)).statuses
        assert set(listed) == {"", LIVE, *SERVICES}
        assert {each.status for each in listed.values()} == {health_pb2.HealthCheckResponse.SERVING}

    def test_names_of_what_there_is_not_are_not_kept(
        self, server: Server, channel: grpc.Channel
    ) -> None:
        """The package's own servicer remembers each for ever, of callers who need no key."""
        call: Any = channel.unary_stream(
            HEALTH + "Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        for number in range(20):
            answers = call(health_pb2.HealthCheckRequest(service=f"none-{number}"), timeout=20)
            assert next(answers).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            answers.cancel()
        servicer: Any = server._readiness
        kept = set(servicer._send_response_callbacks)
        assert len(kept) == 1
        assert not any("none" in name for name in kept)

    def test_no_more_watch_than_there_are_places(
        self, client: Client, channel: grpc.Channel
    ) -> None:
        call: Any = channel.unary_stream(HEALTH + "Watch")
        opened = [call(b"", timeout=20) for _ in range(MAX_WATCHES)]
        for each in opened:
            next(each)
        with pytest.raises(grpc.RpcError) as caught:
            next(call(b"", timeout=20))
        assert refusal(caught.value)[1] == "TOO_MANY_STREAMS"
        assert client.is_serving()
        for each in opened:
            each.cancel()
