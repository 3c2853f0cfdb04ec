from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.gallery.galleries import Galleries
from tests.gallery.looks import DIM, MODEL


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def galleries(data: Path) -> Iterator[Galleries]:
    """Galleries of which one, "staff", exists and is empty."""
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        yield galleries
