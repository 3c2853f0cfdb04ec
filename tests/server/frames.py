"""HTTP/2 by hand, for what no gRPC client sends."""

import socket
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, SETTINGS, END_HEADERS, END_STREAM = 1, 0, 4, 4, 1


def frame(kind: int, payload: bytes, flags: int = 0, stream: int = 0) -> bytes:
    """RFC 9113, section 4.1."""
    size = len(payload).to_bytes(3, "big")
    return size + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that is not indexed, RFC 7541, section 6.2.2; both shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def begun(
    path: bytes,
    more: Sequence[tuple[bytes, bytes]] = (),
    message: bytes = b"\0" + (1000).to_bytes(4, "big") + b"x" * 10,
    *,
    end: bool = False,
) -> bytes:
    """A call's bytes; unless told otherwise it says it sends 1,000 bytes, sends 10, and no more."""
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    head += [(b"te", b"trailers"), (b"content-type", b"application/grpc"), *more]
    block = b"".join(literal(name, value) for name, value in head)
    return (
        PREFACE
        + frame(SETTINGS, b"")
        + frame(HEADERS, block, END_HEADERS, stream=1)
        + (frame(DATA, message, END_STREAM if end else 0, stream=1) if message else b"")
    )


def connect(address: str, content: bytes) -> socket.socket:
    """A connection over which this was sent."""
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(content)
    return connection
