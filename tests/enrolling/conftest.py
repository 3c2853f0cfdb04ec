from pathlib import Path

import pytest

from mien.model.bundle import Bundle
from tests.enrolling.made import Enrolling


@pytest.fixture
def enrolling(bundle: Bundle, tmp_path: Path) -> Enrolling:
    return Enrolling(tmp_path / "enrolling", bundle)
