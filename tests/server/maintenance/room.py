"""What is left in a data directory while it is kept, and how long that may take."""

from pathlib import Path

from mien.gallery.store.journal import LEFTOVER

PATIENCE = 20


def leftovers(data: Path) -> list[str]:
    return [path.name for path in data.iterdir() if path.name.startswith(LEFTOVER)]
