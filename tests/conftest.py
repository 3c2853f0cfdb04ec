from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.model.bundle import Bundle
from mien.vision import detector_file
from tests import bundles

# What they compare is told when it differs, as in tests.
pytest.register_assert_rewrite(*(f"tests.gallery.{each}" for each in ("looks", "torture", "world")))


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands remember is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package came without its face detector."""
    monkeypatch.setattr(detector_file, "PACKED", Path("unpacked.onnx"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A calibrated bundle; do not change its files."""
    return bundles.calibrated(tmp_path_factory.mktemp("bundle") / "projection")
