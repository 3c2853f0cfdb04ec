import pytest

from mien.model.bundle import Bundle
from tests import bundles


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A calibrated bundle; do not change its files."""
    return bundles.calibrated(tmp_path_factory.mktemp("bundle") / "projection")
