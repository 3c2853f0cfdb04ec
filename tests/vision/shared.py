"""The development data beside the checkout, of real people; it is never part of it."""

import os
from pathlib import Path

import pytest

from mien.vision import detector_file

SHARED = Path(__file__).parents[3] / "shared"
DATA = SHARED / "data"
YUNET_FILE = detector_file.PACKED

needs_photos = pytest.mark.skipif(
    not DATA.is_dir(),
    reason=f"the development data is not at {SHARED}; it cannot be distributed",
)


def some(folder: str, step: int) -> list[Path]:
    """Every step-th picture, of `<folder>/<person>/`."""
    return sorted((DATA / folder).glob("*/*.jpg"))[::step]


def environment() -> dict[str, str]:
    """Of a command that finds the detector."""
    return os.environ | {"MIEN_MODELS": str(YUNET_FILE.parent)}
