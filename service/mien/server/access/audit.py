"""Who asked what of which gallery, and what came of it: a file that is only added to.

A line is JSON. It names the caller (the id of his key), the call, galleries, error rates that were
asked for and the outcome; never a picture, a vector, a key, or a subject. It is written before the
answer leaves, so that a crash of the server loses no line of an answer that arrived; it is on the
disk at most a second later, so that a crash of the machine loses that second.

Calls that are refused for being too many have no line each, which would fill the disk: one line a
minute says of each caller how many there were.
"""

import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mien.server.calls.call import Call

SYNC_SECONDS = 1.0
COUNT_SECONDS = 60.0
"""From a call that is counted to the line that tells of it and of those that followed."""
MOST_COUNTED = 100
"""Callers who are counted by name in that time; of all others together there is one line."""
OTHERS = "others"
MODE = 0o600


_log = logging.getLogger(__name__)


@dataclass
class _Counted:
    line: dict[str, Any]
    since: float
    times: int = 0


class Audit:
    """Adds to a file until `close`. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(path, flags, MODE)
        self._unsynced = threading.Event()
        self._counted: dict[str, _Counted] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._sync, name="mien-audit", daemon=True)
        self._thread.start()

    def write(self, call: Call, outcome: str, facts: dict[str, Any]) -> None:
        """One line, by one write: lines of several threads do not mix. Raises OSError."""
        self._write(_line(call, outcome, facts))

    def count(self, call: Call, outcome: str, facts: dict[str, Any]) -> None:
        """One more of those that are told together, in a line that looks like that of the first."""
        with self._lock:
            who = call.who if len(self._counted) < MOST_COUNTED else OTHERS
            who = call.who if call.who in self._counted else who
            first = self._counted.setdefault(
                who, _Counted(_line(call, outcome, facts) | {"who": who}, time.monotonic())
            )
            first.times += 1

    def _write(self, line: dict[str, Any]) -> None:
        content = json.dumps(line).encode() + b"\n"
        if os.write(self._descriptor, content) != len(content):
            raise OSError("the line of the audit was cut short; is the disk full?")
        self._unsynced.set()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._tell(time.monotonic())
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _sync(self) -> None:
        while not self._closed.wait(SYNC_SECONDS):
            self._tell(time.monotonic() - COUNT_SECONDS)
            if self._unsynced.is_set():
                self._unsynced.clear()
                os.fsync(self._descriptor)

    def _tell(self, before: float) -> None:
        """Of those that are counted since before then, on `time.monotonic`'s clock."""
        with self._lock:
            due = [who for who, each in self._counted.items() if each.since <= before]
            told = [self._counted.pop(who) for who in due]
        for each in told:
            try:
                self._write(each.line | {"times": each.times})
            except OSError as error:  # nobody waits for it, and other lines may still be written
                _log.error("the audit lacks that %d calls were refused: %s", each.times, error)


def _line(call: Call, outcome: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(),
        "request_id": call.request_id,
        "who": call.who,
        "peer": call.peer,
        "method": call.method,
        "galleries": sorted(call.galleries),
        "outcome": outcome,
        **facts,
    }
