"""Calls that bring many requests: read ahead by a window, and no further."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import grpc

from mien import deadline
from mien.deadline import Deadline
from mien.errors import (
    CallerGone,
    DeadlineExceeded,
    Internal,
    MienError,
    ResourceExhausted,
    ServerUnavailable,
    TooManyStreams,
)
from mien.server import messages
from mien.server.calls.admission import deadline_of
from mien.v1 import embedding_pb2

WINDOW = 256
"""Requests of a stream that are held: read, and not answered yet."""

WINDOW_BYTES = 64 * 2**20
"""What they may weigh together; one alone may be heavier."""

MAX_STREAMS = 16
"""Streams that are served at a time. Each keeps a thread of the server busy while it is open."""

AT_A_TIME = 16
"""Requests of a stream that are worked on at a time, where order does not matter: so many come
together in one batch of the network."""

Request = TypeVar("Request")
Reply = TypeVar("Reply")
_log = logging.getLogger(__name__)


class Arrivals(Generic[Request]):
    """Requests of a stream as they come, read ahead by a thread of its own.

    It reads on only while what is held, read and not yet `answered`, leaves room, and when it had
    to stop, only from half of that on: a caller who does not take answers, or is faster than we
    are, waits. If the caller goes, the requests end.
    """

    def __init__(
        self, requests: Iterator[Request], window: int = WINDOW, size: int = WINDOW_BYTES
    ) -> None:
        self._requests = requests
        self._window, self._size = window, size
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._waiting: deque[Request] = deque()
        self._held = self._held_bytes = 0
        self._ended = self._closed = False
        self._failure: Exception | None = None
        threading.Thread(target=self._read, name="mien-stream", daemon=True).start()

    def take(self, most: int = 1, effort: Callable[[Request], int] = lambda _: 1) -> list[Request]:
        """What has arrived, 1 or more, until they take `most` effort; waits for the first.

        Nothing at the end.
        """
        taken: list[Request] = []
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self._ended)
            while self._waiting and most > 0:
                taken.append(self._waiting.popleft())
                most -= effort(taken[-1])
        return taken

    def answered(self, request: Request) -> None:
        """The caller has taken the answer, so that another request may be read."""
        weight = _weight(request)
        with self._room:
            self._held -= 1
            self._held_bytes -= weight
            if self._is_roomy():
                self._room.notify()

    def check(self) -> None:
        """Raise what reading ended with, if not with the end of the stream or its caller."""
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """Read no more, and forget what was not taken."""
        with self._lock:
            self._closed = self._ended = True
            self._waiting.clear()
            self._arrived.notify_all()
            self._room.notify()

    def _read(self) -> None:
        try:
            while self._has_room() and (request := next(self._requests, None)) is not None:
                self._put(request)
        except grpc.RpcError:
            self.close()  # the caller has gone: nobody takes the answers
        except Exception as error:
            self._failure = error  # whoever answers the stream raises it, at its end
        finally:
            with self._arrived:
                self._ended = True
                self._arrived.notify_all()

    def _has_room(self) -> bool:
        """Wait for it; False when nothing is to be read any more."""
        with self._room:
            if self._held >= self._window or self._held_bytes >= self._size:
                self._room.wait_for(lambda: self._closed or self._is_roomy())
            return not self._closed

    def _is_roomy(self) -> bool:
        """Half of what may be held is free: who had to stop reads on only then, since changing from
        one thread to another and back for each message takes longer than the message."""
        return 2 * self._held <= self._window and 2 * self._held_bytes <= self._size

    def _put(self, request: Request) -> None:
        weight = _weight(request)
        with self._arrived:
            self._held += 1
            self._held_bytes += weight
            if not self._closed:
                self._waiting.append(request)
            self._arrived.notify()


class Streams:
    """The streams that are open."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.open = 0
        """How many there are now."""

    @contextmanager
    def place(self) -> Iterator[None]:
        """One more stream. Raises TooManyStreams."""
        with self._lock:
            if self.open >= self._most:
                raise TooManyStreams(
                    f"{self._most} streams are open, which is all that the server serves at a "
                    "time; try again when one has ended"
                )
            self.open += 1
        try:
            yield
        finally:
            with self._lock:
                self.open -= 1

    @contextmanager
    def arrivals(self, requests: Iterator[Request]) -> Iterator[Arrivals[Request]]:
        """One more stream of requests. Raises TooManyStreams, and at its end what reading did."""
        with self.place():
            arrivals = Arrivals(requests)
            try:
                yield arrivals
                arrivals.check()
            finally:
                arrivals.close()

    def as_ready(
        self,
        requests: Iterator[Request],
        context: grpc.ServicerContext,
        answer: Callable[[Request], Reply],
        refuse: Callable[[Request, embedding_pb2.Rejection], Reply],
    ) -> Iterator[Reply]:
        """Each request's reply, as it is ready; what is wrong with one does not end the others."""
        waiting, ready = deadline_of(context), SimpleQueue[tuple[Request, Reply] | Ending]()

        def work() -> None:
            ended = Ending()
            try:
                while taken := arrivals.take():
                    ready.put((taken[0], _answered(taken[0], waiting, answer, refuse)))
            except MienError as error:
                ended = Ending(error)
            finally:
                ready.put(ended)

        with self.arrivals(requests) as arrivals:
            for _ in range(AT_A_TIME):
                threading.Thread(target=work, name="mien-stream-work", daemon=True).start()
            working = AT_A_TIME
            while working:
                done = ready.get()
                if isinstance(done, Ending):
                    working -= 1
                    done.check()
                else:
                    yield done[1]
                    arrivals.answered(done[0])


@dataclass(frozen=True)
class Ending:
    """A worker's end: there is no more to do, or an error that ends the stream."""

    error: MienError | None = None

    def check(self) -> None:
        if self.error:
            raise self.error


def refusal(error: Exception) -> embedding_pb2.Rejection:
    """Of one item. What is no MienError is told in a fixed sentence; its trace goes to the log."""
    if isinstance(error, MienError):
        return messages.write_rejection(error)
    _log.error("an item of a stream failed", exc_info=error)
    return messages.write_rejection(Internal("the server failed; its log has the cause"))


def patiently(work: Callable[[], Reply], waiting: Deadline) -> Reply:
    """Do a stream's work for a caller; while the server has as much to do as it takes, wait.

    The caller notices that nothing more is read.
    """
    with deadline.kept(waiting):
        while True:
            try:
                return work()
            except ResourceExhausted as full:
                deadline.check("embed what a stream brought")
                if full.retry_after is None:
                    raise
                time.sleep(full.retry_after)


def _answered(
    request: Request,
    waiting: Deadline,
    answer: Callable[[Request], Reply],
    refuse: Callable[[Request, embedding_pb2.Rejection], Reply],
) -> Reply:
    """Raises what ends the whole stream: nobody waits any more, or the server stops."""
    try:
        return patiently(lambda: answer(request), waiting)
    except (DeadlineExceeded, CallerGone, ServerUnavailable):
        raise
    except Exception as error:
        return refuse(request, refusal(error))


def _weight(request: Any) -> int:
    """Bytes of a message."""
    return int(request.ByteSize())
