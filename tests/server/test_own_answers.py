"""What gRPC answers before any code of ours sees a call: as docs/api.md says, without a reason."""

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from mien import errors
from mien.client import Client
from mien.model.bundle import Bundle
from mien.server.server import CALLS_IN_ALL, Server
from mien.server.settings import Settings
from mien.wire import MAX_MESSAGE_BYTES
from tests.faces import encoded
from tests.server.frames import begun, connect

EMBED = "/mien.v1.EmbeddingService/Embed"
TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
DOCUMENTED = TEXT.partition("**gRPC's own answers**")[2].partition("## Limits")[0]
EXHAUSTED, INTERNAL = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("path", "content", "options", "code"),
    [
        pytest.param(EMBED, bytes(MAX_MESSAGE_BYTES + 1), {}, EXHAUSTED, id="message"),
        pytest.param(
            EMBED,
            bytes(MAX_MESSAGE_BYTES + 1),
            {"compression": grpc.Compression.Gzip},
            EXHAUSTED,
            id="compressed message",
        ),
        pytest.param(EMBED, b"", {"metadata": [("x", "a" * 2**17)]}, EXHAUSTED, id="metadata"),
        pytest.param(EMBED + "Not", b"", {}, grpc.StatusCode.UNIMPLEMENTED, id="method"),
        pytest.param(
            "/grpc.health.v1.Health/Check",
            b"\x0a\x01x",
            {},
            grpc.StatusCode.NOT_FOUND,
            id="health",
        ),
        pytest.param("/x.Y/Z", b"", {}, grpc.StatusCode.UNIMPLEMENTED, id="service"),
    ],
)
def test_what_grpc_refuses_by_itself(
    address: str, path: str, content: bytes, options: dict[str, Any], code: grpc.StatusCode
) -> None:
    with grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        call: Any = channel.unary_unary(path)
        with pytest.raises(grpc.RpcError) as caught:
            call(content, timeout=20, **options)
    refused: Any = caught.value
    assert refused.code() is code
    assert rpc_status.from_call(refused) is None
    assert f"| {code.name} |" in DOCUMENTED


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        pytest.param(b"gzip", b"no gzip at all", id="broken"),
        pytest.param(b"gzip", gzip.compress(b"x" * 100)[:-9], id="cut short"),
        pytest.param(b"zstd", b"whatever", id="unknown"),
    ],
)
def test_compression_that_it_cannot_undo(
    address: str, client: Client, encoding: bytes, content: bytes
) -> None:
    more: Sequence[tuple[bytes, bytes]] = [(b"grpc-encoding", encoding)]
    message = b"\1" + len(content).to_bytes(4, "big") + content
    answered = b""
    with connect(address, begun(EMBED.encode(), more, message, end=True)) as connection:
        while b"grpc-message" not in answered and (some := connection.recv(65536)):
            answered += some
    (status,) = re.findall(rb"grpc-status.(\d+)", answered, re.S)
    assert int(status) == INTERNAL.value[0]
    assert f"| {INTERNAL.name} |" in DOCUMENTED
    assert client.is_serving()


def test_a_bomb_is_not_unpacked_further_than_a_message_may_be(address: str, client: Client) -> None:
    """55 MB of zeros in 56 kB."""
    bomb = gzip.compress(bytes(55 * 10**6))
    assert len(bomb) < 60_000
    message = b"\1" + len(bomb).to_bytes(4, "big") + bomb
    pieces = [message[at : at + 16_000] for at in range(0, len(message), 16_000)]
    head = begun(EMBED.encode(), [(b"grpc-encoding", b"gzip")], pieces[0])
    answered = b""
    with connect(address, head) as connection:
        for piece in pieces[1:]:
            connection.sendall(len(piece).to_bytes(3, "big") + b"\0\0\0\0\0\1" + piece)
        while b"grpc-message" not in answered and (some := connection.recv(65536)):
            answered += some
    assert b"Decompressed message larger than max" in answered
    assert client.embed([encoded(1, 0)]).items[0].HasField("ok")


def test_the_client_raises_them_as_it_is_written(bundle: Bundle, tmp_path: Path) -> None:
    settings = Settings(bundle.folder, tmp_path / "data", port=0, max_message_bytes=2000)
    too_large = pytest.raises(errors.ImageTooLarge, match="too large for one message")
    with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client, too_large:
        client.embed([bytes(3000)])


def test_more_calls_than_there_are_threads_are_refused_by_grpc(
    bundle: Bundle, tmp_path: Path
) -> None:
    settings = Settings(bundle.folder, tmp_path / "data", port=0, calls=1)
    with (
        Server(settings) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        watching = []
        for _ in range(CALLS_IN_ALL):
            watching.append(watch(b"", timeout=20))
            next(watching[-1])
        call: Any = channel.unary_unary("/mien.v1.ModelService/GetModel")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=20)
        refused: Any = caught.value
        assert refused.code() is EXHAUSTED
        assert rpc_status.from_call(refused) is None
        for each in watching:
            each.cancel()
