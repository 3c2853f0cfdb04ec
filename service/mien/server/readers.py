"""Requests of a stream that are worked on by several threads, and given back in their order."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Part(Generic[Request, Result]):
    """Requests that one thread took together."""

    requests: Sequence[Request]
    results: "Future[Sequence[Result]]" = field(default_factory=Future)

    def is_well(self) -> bool:
        """Whether its results are there."""
        return self.results.done() and self.results.exception() is None


class Readers(Generic[Request, Result]):
    """Threads that take what has arrived and read it, each for itself; what they read, in order."""

    def __init__(
        self,
        take: Callable[[], Sequence[Request]],
        read: Callable[[Sequence[Request]], Sequence[Result]],
        threads: int,
    ) -> None:
        """`take` waits for the next requests, and gives none at the end, when the threads end; it
        raises nothing."""
        self._take, self._read = take, read
        self._taking = threading.Lock()
        self._left = threads
        self._parts = SimpleQueue["_Part[Request, Result] | None"]()
        """In the order of the stream, from when they were taken; None at the end."""
        self._head: _Part[Request, Result] | None = None
        """The first of them, once it is known."""
        self._ended = False
        for _ in range(threads):
            threading.Thread(target=self._work, name="mien-reader", daemon=True).start()

    def read(self, most: int) -> list[tuple[Request, Result]]:
        """Requests and what was read in them: waits for the first part, and adds those that are
        there already, up to `most` requests. Nothing at the end.

        Raises what reading the first part raised.
        """
        found: list[tuple[Request, Result]] = []
        while part := self._next(wait=not found):
            if found and not (part.is_well() and len(found) + len(part.requests) <= most):
                break
            self._head = None
            found += zip(part.requests, part.results.result(), strict=True)
        return found

    def _next(self, *, wait: bool) -> _Part[Request, Result] | None:
        """The head of those that were not given yet."""
        if not self._head and not self._ended:
            with suppress(Empty):
                self._head = self._parts.get(block=wait)
                self._ended = self._head is None
        return self._head

    def _work(self) -> None:
        while part := self._taken():
            try:
                part.results.set_result(self._read(part.requests))
            except Exception as error:
                part.results.set_exception(error)  # whoever comes to the part raises it

    def _taken(self) -> _Part[Request, Result] | None:
        with self._taking:
            if requests := self._take():
                part = _Part[Request, Result](requests)
                self._parts.put(part)
                return part
            self._left -= 1
            if not self._left:
                self._parts.put(None)
            return None
