"""What every interceptor does alike: handlers of all four kinds, and only of methods there are."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mien.client import Client
from mien.model.bundle import Bundle
from mien.server.calls.interceptor import Handler, Interceptor, behaviour_of, wrapped
from mien.server.calls.statuses import ErrorInterceptor
from mien.server.server import Server
from mien.server.settings import Settings

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
METHOD: Any = SimpleNamespace(method="/t.T/method", invocation_metadata=())
CONTEXT: Any = None


class Named(Interceptor):
    """Tells what it was asked to wrap, and answers with the name of the method."""

    def __init__(self) -> None:
        self.asked: list[tuple[Handler, str]] = []

    def wrap(self, handler: Handler, method: str) -> Handler:
        self.asked.append((handler, method))
        return wrapped(handler, lambda _: lambda *_: method, lambda _: lambda *_: iter([method]))


def single(request: Any, _: Any) -> Any:
    return request


def stream(request: Any, _: Any) -> Iterator[Any]:
    yield request


def handler_of(kind: str) -> Handler:
    behaviour = stream if kind.endswith("stream") else single
    made: Handler = getattr(grpc, f"{kind}_rpc_method_handler")(behaviour, bytes, str)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapped_handler_is_of_the_same_kind(kind: str) -> None:
    handler, interceptor = handler_of(kind), Named()
    made: Any = interceptor.intercept_service(lambda _: handler, METHOD)
    assert interceptor.asked == [(handler, "/t.T/method")]
    assert (made.request_streaming, made.response_streaming) == (
        kind.startswith("stream"),
        kind.endswith("stream"),
    )
    assert (made.request_deserializer, made.response_serializer) == (bytes, str)
    assert [each for each in KINDS if getattr(made, each)] == [kind]
    answer = behaviour_of(made)(b"", CONTEXT)
    assert (list(answer) if kind.endswith("stream") else [answer]) == ["/t.T/method"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_behaviour_of_a_handler_is_what_it_was_made_with(kind: str) -> None:
    expected: Callable[..., Any] = stream if kind.endswith("stream") else single
    assert behaviour_of(handler_of(kind)) is expected


def test_nothing_is_wrapped_where_there_is_no_method() -> None:
    interceptor = Named()
    assert interceptor.intercept_service(lambda _: None, METHOD) is None
    assert interceptor.asked == []


def test_a_server_wraps_each_method_once_however_often_it_is_called(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    wrap = ErrorInterceptor.wrap

    def counted(self: ErrorInterceptor, handler: Handler, method: str) -> Handler:
        asked.append(method)
        return wrap(self, handler, method)

    monkeypatch.setattr(ErrorInterceptor, "wrap", counted)
    settings = Settings(bundle.folder, tmp_path, port=0)
    with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client:
        for _ in range(3):
            client.model()
            assert list(client.galleries()) == []
    assert sorted(asked) == [
        "/mien.v1.GalleryService/ListGalleries",
        "/mien.v1.ModelService/GetModel",
    ]
