from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.gallery import gallery as gallery_module
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from tests.cli.keeping import Place
from tests.server.galleries import falls_due, filled


@pytest.fixture
def data(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gallery_module, "SAVED_FROM", 1)  # of small galleries, too
    data = tmp_path / "data"
    filled(data, bundle.manifest.fingerprint)
    filled(data, "sha256:other", "other")
    falls_due(data, bundle.manifest.fingerprint)
    return data


@pytest.fixture
def server(bundle: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It does not look by itself who is due."""
    monkeypatch.setattr("mien.server.maintenance.upkeep.Upkeep._try_to_expire", lambda _: None)
    with Server(Settings(bundle.folder, data, port=0)) as serving:
        yield serving


@pytest.fixture(params=["--data", "--server"])
def place(request: pytest.FixtureRequest, data: Path) -> Place:
    if request.param == "--data":
        return Place(("--data", str(data)), data, None)
    server = request.getfixturevalue("server")
    return Place(("--server", f"127.0.0.1:{server.port}"), data, server)
