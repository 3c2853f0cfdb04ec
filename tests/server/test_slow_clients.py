"""Callers that begin a request and do not finish it."""

import socket
from contextlib import ExitStack
from pathlib import Path

from mien.client import Client
from mien.model.bundle import Bundle
from tests.faces import encoded
from tests.server.gated import gated

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, SETTINGS, END_HEADERS = 1, 0, 4, 4


def frame(kind: int, payload: bytes, flags: int = 0, stream: int = 0) -> bytes:
    """RFC 9113, section 4.1."""
    size = len(payload).to_bytes(3, "big")
    return size + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that is not indexed, RFC 7541, section 6.2.2."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def begin(address: str, path: bytes) -> socket.socket:
    """A call that says it sends 1,000 bytes, sends 10, and then nothing."""
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)))
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    head += [(b"te", b"trailers"), (b"content-type", b"application/grpc")]
    block = b"".join(literal(name, value) for name, value in head)
    message = b"\0" + (1000).to_bytes(4, "big") + b"x" * 10
    connection.sendall(
        PREFACE
        + frame(SETTINGS, b"")
        + frame(HEADERS, block, END_HEADERS, stream=1)
        + frame(DATA, message, stream=1)
    )
    return connection


def test_who_sends_slowly_keeps_nobody_waiting(bundle: Bundle, tmp_path: Path) -> None:
    with gated(bundle, tmp_path / "data", calls=2) as one, ExitStack() as stack:
        one.gate.open.set()
        for _ in range(6):
            stack.enter_context(begin(one.address, b"/mien.v1.EmbeddingService/Embed"))
        with Client(one.address, deadline=10) as client:
            for shot in range(5):
                assert client.embed([encoded(1, shot)]).items[0].HasField("ok")
            assert client.is_serving()


def test_who_hangs_up_in_the_middle_of_a_request_leaves_nothing_behind(
    bundle: Bundle, tmp_path: Path
) -> None:
    with gated(bundle, tmp_path / "data", calls=2) as one, Client(one.address) as client:
        one.gate.open.set()
        for _ in range(20):
            begin(one.address, b"/mien.v1.EmbeddingService/Embed").close()
        assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
        assert one.server.batcher.counts().waiting == 0
