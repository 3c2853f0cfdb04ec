"""What a data directory has while it is kept, and how long that may take."""

import time
from collections.abc import Callable
from pathlib import Path

from mien.gallery.store.journal import LEFTOVER

PATIENCE = 20


def leftovers(data: Path) -> list[str]:
    return [path.name for path in data.iterdir() if path.name.startswith(LEFTOVER)]


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()
