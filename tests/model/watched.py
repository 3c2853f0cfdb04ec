"""A network, watched as it runs."""

import os
from typing import Any


class Watched:
    """A session of onnxruntime; notes on which cores the thread that runs it may be."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.cores: list[set[int]] = []

    def run(self, *given: Any) -> Any:
        self.cores.append(os.sched_getaffinity(0))
        return self._session.run(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)
