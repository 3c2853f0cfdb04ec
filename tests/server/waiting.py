"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable

WAIT_SECONDS = 20.0


def wait(until: Callable[[], bool]) -> None:
    """Fails if it has not come to pass in `WAIT_SECONDS`."""
    end = time.monotonic() + WAIT_SECONDS
    while not until():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)
