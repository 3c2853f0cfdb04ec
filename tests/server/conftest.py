import io
import logging
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from mien.client import Client
from mien.model.bundle import Bundle
from mien.server.access.keys import Role, create
from mien.server.observing.logs import log_to
from mien.server.server import Server
from mien.server.settings import Settings
from tests.faces import encoded
from tests.server.watched import Watched


@pytest.fixture
def server(bundle: Bundle, tmp_path: Path) -> Iterator[Server]:
    """A server in this process, on a real socket."""
    with Server(Settings(bundle.folder, tmp_path / "data", port=0)) as serving:
        yield serving


@pytest.fixture
def address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as connected:
        yield connected


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    """For requests that the client would not make."""
    with grpc.insecure_channel(address) as connected:
        yield connected


@pytest.fixture
def gallery(client: Client) -> str:
    """Five people, three pictures each."""
    client.create_gallery("people")
    for person in range(5):
        for shot in range(3):
            client.enroll("people", f"person-{person}", encoded(person, shot))
    return "people"


@pytest.fixture
def watched(bundle: Bundle, tmp_path: Path) -> Iterator[Watched]:
    file, log = tmp_path / "keys.json", io.StringIO()
    _, key = create(file, frozenset(Role))
    settings = Settings(
        bundle.folder,
        tmp_path / "data",
        port=0,
        keys=file,
        audit=tmp_path / "log" / "audit.jsonl",
        metrics_address="127.0.0.1:0",
        reflection=True,
    )
    logger = logging.getLogger("mien")
    level = logger.level
    handler = log_to(log, "debug")
    assert settings.audit
    with Server(settings) as server:
        yield Watched(server, key, settings.audit, log)
    logging.getLogger().removeHandler(handler)
    logger.setLevel(level)
