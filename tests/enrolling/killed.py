"""Enrolling in a process of its own, to be killed. Preloaded, so that most of its life is work."""

from pathlib import Path

from mien.enrolling.options import Options
from mien.model.bundle import load
from tests.enrolling.made import Enrolling


def enrol(folder: Path, bundle: Path, source: Path, options: Options, address: str = "") -> None:
    """What `mien enroll` does."""
    enrolling = Enrolling(folder, load(bundle))
    if address:
        enrolling.serve(address, source, options)
    else:
        enrolling.run(source, options)
