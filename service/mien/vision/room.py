"""Memory for pictures that are decoded at the same time: so many pixels, and no more.

A PNG of 4 KB may hold 36 megapixels, and decoding it takes some 10 bytes for each: 64 callers who
send it at once would take 24 GB.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from mien import deadline

SMALL = 2_000_000
"""Pixels of a picture that waits for nobody: a full HD photograph is just larger."""

MAX_PIXELS = 80_000_000
"""Of larger pictures together; the limit of one is 40 million unless a setting says otherwise."""

LOOK_SECONDS = 0.1
"""How often who waits looks whether his own caller still does."""


_NO_WAIT = nullcontext()


class Room:
    """Pixels that are being worked on. Safe to use from several threads."""

    def __init__(self, most: int = MAX_PIXELS, small: int = SMALL) -> None:
        self._most, self._small = most, small
        self._taken = 0
        self._changed = threading.Condition()

    def taken(self, pixels: int) -> AbstractContextManager[None]:
        """Wait until there is room for a large picture; one alone may be of any size.

        Raises DeadlineExceeded and CallerGone (`mien.deadline`) if nobody waits any more.
        """
        return _NO_WAIT if pixels <= self._small else self._waited(pixels)

    @contextmanager
    def _waited(self, pixels: int) -> Iterator[None]:
        with self._changed:
            while self._taken and self._taken + pixels > self._most:
                deadline.check("find room for the picture")
                self._changed.wait(LOOK_SECONDS)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()
