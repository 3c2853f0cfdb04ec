"""How long the stages of an answer take, for whoever listens; a server's metrics do.

Stages: `decode` (a picture's bytes to pixels, and to the crop where the whole picture is one),
`detect` (the faces in it), `align` (faces judged and brought to crops), `embed` (crops to vectors,
with the wait for a batch), `network` (one batch), `search` (of a gallery), `enroll` (until durable
and searchable).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, float], None]
"""Takes the name of a stage and seconds. Called by the thread that was at work."""

_listeners: tuple[Listener, ...] = ()


def listen(listener: Listener) -> None:
    """Tell it of every stage in this process, until `ignore`."""
    global _listeners  # noqa: PLW0603 - the process's own, as its loggers are
    _listeners = (*_listeners, listener)


def ignore(listener: Listener) -> None:
    """Tell it no more."""
    global _listeners  # noqa: PLW0603
    _listeners = tuple(each for each in _listeners if each != listener)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """What is inside is this stage, whether it goes well or not. Also decorates functions."""
    began = time.perf_counter()
    try:
        yield
    finally:
        for listener in _listeners:
            listener(stage, time.perf_counter() - began)
