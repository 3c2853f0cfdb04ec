"""A network that runs only when it is told to, behind a real server with one lane."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.model.bundle import Bundle
from mien.server.batching import Batcher, Crops
from mien.server.server import Server
from mien.server.settings import Settings
from tests.server.waiting import WAIT_SECONDS, wait


class Gate:
    """Stands before a batcher's network, and notes how many crops each run had."""

    def __init__(self, batcher: Batcher) -> None:
        self.runs: list[int] = []
        self.open = threading.Event()
        self._inner = batcher._narrow
        batcher._narrow = batcher._wide = self

    def __call__(self, crops: Crops) -> Any:
        self.runs.append(len(crops))
        assert self.open.wait(WAIT_SECONDS)
        return self._inner(crops)


class Gated:
    """A server whose network waits, and callers beside each other."""

    def __init__(self, server: Server, callers: ThreadPoolExecutor) -> None:
        self.server, self.callers = server, callers
        self.gate = Gate(server.batcher)
        self.address = f"127.0.0.1:{server.port}"

    def wait_for(self, waiting: int) -> None:
        """Until so many crops are in the queue."""
        wait(lambda: self.server.batcher.counts().waiting == waiting)

    def wait_for_run(self) -> None:
        wait(lambda: len(self.gate.runs) > 0)


@contextmanager
def gated(bundle: Bundle, data: Path, **settings: Any) -> Iterator[Gated]:
    """One lane; batches of 4 unless `settings` say otherwise."""
    told = {"threads": 1, "batch": 4} | settings
    with (
        ThreadPoolExecutor(32) as callers,
        Server(Settings(bundle.folder, data, port=0, **told)) as server,
    ):
        one = Gated(server, callers)
        try:
            yield one
        finally:
            one.gate.open.set()
