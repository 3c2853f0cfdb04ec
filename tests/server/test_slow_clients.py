"""Callers that begin a request and do not finish it."""

from contextlib import ExitStack
from pathlib import Path

from mien.client import Client
from mien.model.bundle import Bundle
from tests.faces import encoded
from tests.server.frames import begun, connect
from tests.server.gated import gated

EMBED = b"/mien.v1.EmbeddingService/Embed"


def test_who_sends_slowly_keeps_nobody_waiting(bundle: Bundle, tmp_path: Path) -> None:
    with gated(bundle, tmp_path / "data", calls=2) as one, ExitStack() as stack:
        one.gate.open.set()
        for _ in range(6):
            stack.enter_context(connect(one.address, begun(EMBED)))
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
            connect(one.address, begun(EMBED)).close()
        assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
        assert one.server.batcher.counts().waiting == 0
