"""The keys that a running server accepts: those of the file as it is now."""

import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from mien.errors import KeysInvalid, Unauthenticated
from mien.server.access.keys import Key, accepted, read

LOOK_SECONDS = 1.0
"""How old what is known of the file may be: a key that is revoked is refused so much later."""

_log = logging.getLogger(__name__)


class Keyring:
    """Safe to use from several threads. Raises KeysInvalid if the file is none at the start.

    While it runs, a file that cannot be read lets nobody in, until it can be read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys = read(path)
        self._stamp = self._stamped()
        self._looked = time.monotonic()

    def key_of(self, authorization: str | None) -> Key:
        """The key in an `authorization: Bearer ...` of a call. Raises Unauthenticated.

        Keys that were never made, are revoked or have expired are refused in the same words.
        """
        if not authorization:
            raise Unauthenticated(
                "this server wants an API key; send one as metadata, 'authorization: Bearer KEY'"
            )
        kind, _, text = authorization.partition(" ")
        key = accepted(self._current(), text.strip(), datetime.now(UTC))
        if kind.lower() != "bearer" or key is None:
            raise Unauthenticated("the API key is not accepted; ask whoever runs this server")
        return key

    def _current(self) -> dict[str, Key]:
        with self._lock:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._look()
                self._looked = time.monotonic()
            return self._keys

    def _look(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        try:
            self._keys = read(self._path)
            _log.info("keys were read again: %d", len(self._keys))
        except KeysInvalid as error:
            self._keys = {}
            _log.error("no key is accepted until this is mended: %s", error)
        self._stamp = stamp

    def _stamped(self) -> tuple[int, int, int, int] | None:
        """What changes with the file; None if there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode
