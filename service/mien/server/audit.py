"""Who asked what of which gallery, and what came of it: a file that is only added to.

A line is JSON. It names the caller (the id of his key), the call, galleries, error rates that were
asked for and the outcome; never a picture, a vector, a key, or a subject. It is written before the
answer leaves, so that a crash of the server loses no line of an answer that arrived; it is on the
disk at most a second later, so that a crash of the machine loses that second.
"""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mien.server.call import Call

SYNC_SECONDS = 1.0
MODE = 0o600


class Audit:
    """Adds to a file until `close`. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(path, flags, MODE)
        self._unsynced = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._sync, name="mien-audit", daemon=True)
        self._thread.start()

    def write(self, call: Call, outcome: str, facts: dict[str, Any]) -> None:
        """One line, by one write: lines of several threads do not mix. Raises OSError."""
        line = {
            "time": datetime.now(UTC).isoformat(),
            "request_id": call.request_id,
            "who": call.who,
            "peer": call.peer,
            "method": call.method,
            "galleries": sorted(call.galleries),
            "outcome": outcome,
            **facts,
        }
        content = json.dumps(line).encode() + b"\n"
        if os.write(self._descriptor, content) != len(content):
            raise OSError("the line of the audit was cut short; is the disk full?")
        self._unsynced.set()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _sync(self) -> None:
        while not self._closed.wait(SYNC_SECONDS):
            if self._unsynced.is_set():
                self._unsynced.clear()
                os.fsync(self._descriptor)
