"""How long the stages of an answer take, for whoever listens; a server's metrics do.

Stages: `decode` (a picture's bytes to pixels, and to the crop where the whole picture is one),
`detect` (the faces in it), `align` (faces judged and brought to crops), `embed` (crops to vectors,
with the wait for a batch), `network` (one batch), `search` (of a gallery), `enroll` (until durable
and searchable).
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeAlias, TypeVar

Listener: TypeAlias = Callable[[str, float], None]
"""Takes the name of a stage and seconds. Called by the thread that was at work."""

Given = ParamSpec("Given")
Result = TypeVar("Result")

_listeners: tuple[Listener, ...] = ()


def listen(listener: Listener) -> None:
    """Tell it of every stage in this process, until `ignore`."""
    global _listeners  # noqa: PLW0603 - the process's own, as its loggers are
    _listeners = (*_listeners, listener)


def ignore(listener: Listener) -> None:
    """Tell it no more."""
    global _listeners  # noqa: PLW0603
    _listeners = tuple(each for each in _listeners if each != listener)


def timed(stage: str) -> "_Timed":
    """What is inside is this stage, whether it goes well or not. Also decorates functions."""
    return _Timed(stage)


class _Timed:
    """No generator, which takes three times as long: every picture goes through it."""

    __slots__ = ("_began", "_stage")
    _began: float

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        for listener in _listeners:
            listener(self._stage, time.perf_counter() - self._began)

    def __call__(self, function: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(function)
        def inside(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            with _Timed(self._stage):
                return function(*args, **kwargs)

        return inside
