from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.client import Client
from mien.maintenance import Maintenance
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from tests.server.galleries import falls_due, filled
from tests.server.maintenance.room import PATIENCE


@pytest.fixture
def data(tmp_path: Path, bundle: Bundle) -> Path:
    fingerprint = bundle.manifest.fingerprint
    filled(tmp_path / "data", fingerprint)
    filled(tmp_path / "data", "sha256:other", "other")
    falls_due(tmp_path / "data", "sha256:other", "other")
    return tmp_path / "data"


@pytest.fixture
def server(bundle: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It does not look by itself who is due."""
    monkeypatch.setattr("mien.server.maintenance.upkeep.Upkeep._try_to_expire", lambda _: None)
    with Server(Settings(bundle.folder, data, port=0)) as serving:
        yield serving


@pytest.fixture
def keeper(client: Client) -> Maintenance:
    return Maintenance(client, deadline=PATIENCE)
