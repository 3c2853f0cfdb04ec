"""Errors of handlers of all four kinds, over a real socket."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien.errors import GalleryNotFound
from mien.server.calls.statuses import ErrorInterceptor

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
PATIENCE = 10

Behaviour = Callable[[Any, grpc.ServicerContext], Any]


@pytest.fixture
def channel(behaviours: dict[str, Behaviour]) -> Iterator[Any]:
    """To a server with one method of each kind that is given, named as its kind."""
    handlers = {
        kind: getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)
        for kind, behaviour in behaviours.items()
    }
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[ErrorInterceptor()])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.T", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()


def call(channel: Any, kind: str, *requests: bytes) -> list[bytes]:
    """The answers; raises what ends the call otherwise."""
    request = iter(requests) if kind.startswith("stream") else requests[0]
    answer = getattr(channel, kind)(f"/t.T/{kind}")(request, timeout=PATIENCE)
    return list(answer) if kind.endswith("stream") else [answer]


def reason(error: grpc.RpcError) -> str:
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def answering(kind: str, fail: Callable[[], None]) -> Behaviour:
    """A handler that repeats the first request, once, and fails."""

    def first(request: Any) -> bytes:
        found: bytes = next(iter(request)) if kind.startswith("stream") else request
        return found

    def single(request: Any, _: grpc.ServicerContext) -> bytes:
        answer = first(request)
        fail()
        return answer

    def stream(request: Any, _: grpc.ServicerContext) -> Iterator[bytes]:
        yield first(request)
        fail()

    return stream if kind.endswith("stream") else single


def missing() -> None:
    raise GalleryNotFound("no gallery 'g'")


def unforeseen() -> None:
    raise ZeroDivisionError("secret")


class TestAnswers:
    @pytest.fixture
    def behaviours(self) -> dict[str, Behaviour]:
        return {kind: answering(kind, lambda: None) for kind in KINDS}

    @pytest.mark.parametrize("kind", KINDS)
    def test_come_through_from_every_kind_of_method(self, channel: Any, kind: str) -> None:
        assert call(channel, kind, b"hello") == [b"hello"]

    def test_an_unknown_method_is_not_ours_to_answer(self, channel: Any) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/t.T/other")(b"", timeout=PATIENCE)
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class TestRefusals:
    @pytest.fixture
    def behaviours(self) -> dict[str, Behaviour]:
        return {kind: answering(kind, missing) for kind in KINDS}

    @pytest.mark.parametrize("kind", KINDS)
    def test_carry_code_reason_and_message(self, channel: Any, kind: str) -> None:
        with pytest.raises(grpc.RpcError, match="no gallery 'g'") as caught:
            call(channel, kind, b"hello")
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert reason(caught.value) == "GALLERY_NOT_FOUND"

    @pytest.mark.parametrize("kind", ["unary_stream", "stream_stream"])
    def test_come_after_the_answers_before_them(self, channel: Any, kind: str) -> None:
        request = iter([b"hello"]) if kind.startswith("stream") else b"hello"
        answers = getattr(channel, kind)(f"/t.T/{kind}")(request, timeout=PATIENCE)
        assert next(answers) == b"hello"
        with pytest.raises(grpc.RpcError, match="no gallery"):
            next(answers)


class TestFailures:
    @pytest.fixture
    def behaviours(self) -> dict[str, Behaviour]:
        return {kind: answering(kind, unforeseen) for kind in KINDS}

    @pytest.mark.parametrize("kind", KINDS)
    def test_tell_the_caller_nothing_and_the_log_everything(
        self, channel: Any, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
            call(channel, kind, b"hello")
        assert reason(caught.value) == "INTERNAL"
        assert "secret" not in str(caught.value)
        assert f"/t.T/{kind} failed" in caplog.text
        assert "ZeroDivisionError: secret" in caplog.text


class TestACallerWhoGoes:
    """In the midst of a stream: the handler ends, and the log has nothing to say."""

    @pytest.fixture
    def ended(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def behaviours(self, ended: threading.Event) -> dict[str, Behaviour]:
        def consume(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                yield from requests
            finally:
                ended.set()

        def produce(_: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                while True:
                    yield b"more"
            finally:
                ended.set()

        return {"stream_stream": consume, "unary_stream": produce}

    def test_while_it_sends(
        self, channel: Any, ended: threading.Event, caplog: pytest.LogCaptureFixture
    ) -> None:
        stop = threading.Event()

        def requests() -> Iterator[bytes]:
            yield b"hello"
            stop.wait(PATIENCE)

        answers = channel.stream_stream("/t.T/stream_stream")(requests(), timeout=PATIENCE)
        assert next(answers) == b"hello"
        answers.cancel()
        assert ended.wait(PATIENCE)
        stop.set()
        assert "failed" not in caplog.text

    def test_while_it_is_answered(
        self, channel: Any, ended: threading.Event, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers = channel.unary_stream("/t.T/unary_stream")(b"", timeout=PATIENCE)
        assert next(answers) == b"more"
        answers.cancel()
        assert ended.wait(PATIENCE)
        assert "failed" not in caplog.text
