import pytest

from mien.model.bundle import Bundle
from tests import bundles

# What they compare is told when it differs, as in tests.
pytest.register_assert_rewrite(*(f"tests.gallery.{each}" for each in ("looks", "torture", "world")))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A calibrated bundle; do not change its files."""
    return bundles.calibrated(tmp_path_factory.mktemp("bundle") / "projection")
