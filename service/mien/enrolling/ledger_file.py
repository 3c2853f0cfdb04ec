"""Where a source's ledger is, and one to try things on."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.enrolling.ledger import Ledger


def default_path(source: Path, place: str, gallery: str) -> Path:
    """A file of the user's own for this source, server or data directory, and gallery."""
    told = "\n".join([str(source.resolve()), place, gallery])
    name = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mien" / "enrolling" / f"{name}.ledger"


@contextmanager
def opened(path: Path, *, afresh: bool = False, tries: bool = False) -> Iterator[Ledger]:
    """A ledger; a copy that is thrown away, with `tries`. `afresh` begins a new one.

    Raises as `Ledger`.
    """
    if not tries:
        if afresh:
            _remove(path)
        with Ledger(path) as ledger:
            yield ledger
        return
    with _tried(path, afresh) as ledger:
        yield ledger


def _tried(path: Path, afresh: bool) -> Ledger:
    """What is known, where nothing that is written down stays."""
    if afresh or not path.exists():
        return Ledger(None)
    with Ledger(path) as known:
        return Ledger(None, known)


def _remove(path: Path) -> None:
    """Only while nobody else works with it."""
    if path.exists():
        for suffix in ("-wal", "-shm", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
