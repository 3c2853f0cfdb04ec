"""Crops of many callers to few runs of the network.

A caller's crops wait in one bounded queue, first come, first served. As many lanes as there are
cores take batches from it and embed each on one thread: threads that share a batch wait for each
other at every layer, and the longer the busier the machine is. Only a crop that is alone, while no
lane runs, is embedded by all cores.

A lane that is free takes what waits, at most a batch and at most its share with the other free
ones. Too few for a batch wait for more, up to `max_wait`, but only while another lane runs: the
first after a pause is never kept waiting. Deadlines are read as a batch is formed, and what nobody
waits for is dropped then.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien import deadline
from mien.deadline import Deadline
from mien.errors import DeadlineExceeded, QueueFull, ServerUnavailable
from mien.matching.metrics import Vectors

Crops: TypeAlias = npt.NDArray[np.uint8]
Embed: TypeAlias = Callable[[Crops], Vectors]

LEAST_RETRY_SECONDS = 0.05
_TOO_LATE = "the deadline passed before the pictures were embedded; allow more time"
_FIRST_GUESS = 0.005
"""Seconds for a crop, until some were embedded."""
_NEWS = 0.1
"""Weight of the newest batch in what is known of how long a crop takes."""


@dataclass(frozen=True)
class Limits:
    batch: int
    """Crops in one run of the network."""
    queue: int
    """Crops that may wait."""
    max_wait: float
    """Seconds that too few for a batch wait for more."""


@dataclass(frozen=True)
class Counts:
    """Since the start, but for `waiting`; all of crops, but for `batches`."""

    waiting: int
    batches: int
    embedded: int
    dropped: int
    refused: int


class _Job:
    """The crops of one caller, who waits for them in `result`."""

    def __init__(self, crops: Crops, caller: Deadline) -> None:
        self.crops = crops
        self.came = time.monotonic()
        self.taken = 0
        self._caller = caller
        self._parts: dict[int, Vectors] = {}
        """Vectors from a position on; batches end in another order than they began."""
        self._missing = len(crops)
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._is_done = False
        self._gate = threading.Lock()
        """Open when it is done. A lock and no Event, which is one with a Condition around it."""
        self._gate.acquire()

    @property
    def left(self) -> int:
        """Crops that no lane has taken."""
        return len(self.crops) - self.taken

    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        if not self._error and self._caller.over():
            self.fail(DeadlineExceeded(_TOO_LATE))
        return self._error is not None

    def give(self, start: int, vectors: Vectors) -> None:
        with self._lock:
            self._parts[start] = vectors
            self._missing -= len(vectors)
            if not self._missing:
                self._open()

    def fail(self, error: Exception) -> None:
        with self._lock:
            self._error = self._error or error
            self._open()

    def result(self) -> Vectors:
        """All vectors, once they are there. Raises what went wrong."""
        if not self._gate.acquire(timeout=self._caller.remaining()):
            self.fail(DeadlineExceeded(_TOO_LATE))
        if self._error:
            raise self._error
        if len(self._parts) == 1:
            return self._parts[0]
        return np.concatenate([self._parts[start] for start in sorted(self._parts)])

    def _open(self) -> None:
        if not self._is_done:
            self._is_done = True
            self._gate.release()


@dataclass(frozen=True)
class _Piece:
    job: _Job
    start: int
    stop: int

    @property
    def crops(self) -> Crops:
        return self.job.crops[self.start : self.stop]


@dataclass(frozen=True)
class _Batch:
    pieces: list[_Piece]
    size: int
    embed: Embed

    def run(self) -> bool:
        """Embed, and tell those who wait; whether it went well."""
        try:
            vectors = self.embed(self._crops())
        except Exception as error:
            for piece in self.pieces:
                piece.job.fail(error)  # who waits raises it in the call's own thread
            return False
        at = 0
        for piece in self.pieces:
            count = piece.stop - piece.start
            piece.job.give(piece.start, vectors[at : at + count])
            at += count
        return True

    def _crops(self) -> Crops:
        crops = [piece.crops for piece in self.pieces]
        return crops[0] if len(crops) == 1 else np.concatenate(crops)


class Batcher:
    """An engine of the pipeline (`mien.model.pipeline.Engine`) for many threads at once.

    `narrow` embeds on the thread that calls it, on `lanes` of them at once; `wide` on all cores.
    """

    def __init__(self, narrow: Embed, wide: Embed, lanes: int, limits: Limits) -> None:
        self._narrow, self._wide, self._limits = narrow, wide, limits
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue: deque[_Job] = deque()
        self._waiting = self._running = 0
        self._batches = self._embedded = self._dropped = self._refused = 0
        self._crop_seconds = _FIRST_GUESS
        self._closed = False
        self._lanes = [
            threading.Thread(target=self._work, name=f"mien-lane-{number}", daemon=True)
            for number in range(lanes)
        ]
        for lane in self._lanes:
            lane.start()

    def admit(self, crops: int) -> None:
        """Raise QueueFull if so many would not be taken now."""
        with self._lock:
            self._check_room(crops)

    def embed(self, crops: Crops) -> Vectors:
        """uint8 [B, H, W, 3] crops to float32 [B, D] unit vectors, the same as without others.

        Raises QueueFull, DeadlineExceeded when nobody waits any more (`mien.deadline`), and
        ServerUnavailable when it was closed.
        """
        if not len(crops):
            return self._narrow(crops)
        job = _Job(crops, deadline.current())
        self._accept(job)
        return job.result()

    def counts(self) -> Counts:
        with self._lock:
            return Counts(
                self._waiting, self._batches, self._embedded, self._dropped, self._refused
            )

    def close(self, seconds: float) -> None:
        """Take nothing more, finish what waits, and after `seconds` fail what is left of it."""
        end = time.monotonic() + seconds
        with self._lock:
            self._closed = True
            self._changed.notify_all()
        for lane in self._lanes:
            lane.join(max(0.0, end - time.monotonic()))
        with self._lock:
            for job in self._queue:
                job.fail(ServerUnavailable("the server stopped before it came to the pictures"))
            self._queue.clear()
            self._waiting = 0

    def _accept(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise ServerUnavailable("the server is stopping; ask another one")
            self._check_room(job.left)
            is_first = not self._waiting
            self._queue.append(job)
            self._waiting += job.left
            if is_first or not self._pause() > 0:
                self._changed.notify()  # else a lane that waits for more knows until when

    def _check_room(self, crops: int) -> None:
        if self._waiting and self._waiting + crops > self._limits.queue:
            self._refused += crops
            seconds = self._waiting * self._crop_seconds / len(self._lanes)
            raise QueueFull(
                f"{self._waiting} pictures wait to be embedded, and {crops} more would exceed "
                f"{self._limits.queue}; nothing was done, so ask again later",
                max(LEAST_RETRY_SECONDS, seconds),
            )

    def _work(self) -> None:
        while batch := self._next():
            start = time.monotonic()
            done = batch.run()
            self._ended(batch, done, time.monotonic() - start)

    def _next(self) -> _Batch | None:
        """What to embed now; None when closed and all is done."""
        with self._lock:
            while self._waiting or not self._closed:
                if not self._waiting:
                    self._changed.wait()
                elif (pause := self._pause()) > 0:
                    self._changed.wait(pause)
                elif pieces := self._take(self._share()):
                    return self._begun(pieces)
        return None

    def _pause(self) -> float:
        """Seconds to wait for more."""
        if not self._running or self._closed or self._waiting >= self._limits.batch:
            return 0
        return self._queue[0].came + self._limits.max_wait - time.monotonic()

    def _share(self) -> int:
        """Crops for a lane that is free."""
        free = len(self._lanes) - self._running
        return min(self._limits.batch, -(-self._waiting // free))

    def _take(self, most: int) -> list[_Piece]:
        """At most so many crops from the head of the queue, of callers who still wait."""
        pieces: list[_Piece] = []
        while self._queue and most:
            job = self._queue[0]
            if self._dropping(job):
                continue
            count = min(job.left, most)
            pieces.append(_Piece(job, job.taken, job.taken + count))
            job.taken += count
            self._waiting -= count
            most -= count
            if not job.left:
                self._queue.popleft()
        return pieces

    def _dropping(self, head: _Job) -> bool:
        """Whether nobody waits for it; then it leaves the queue."""
        if not head.is_over():
            return False
        self._queue.popleft()
        self._waiting -= head.left
        self._dropped += head.left
        return True

    def _begun(self, pieces: list[_Piece]) -> _Batch:
        size = sum(len(piece.crops) for piece in pieces)
        alone = size == 1 and not self._running and not self._waiting
        self._running += 1
        if self._waiting:
            self._changed.notify()
        return _Batch(pieces, size, self._wide if alone else self._narrow)

    def _ended(self, batch: _Batch, done: bool, seconds: float) -> None:
        with self._lock:
            self._running -= 1
            self._batches += 1
            if done:
                self._embedded += batch.size
                self._crop_seconds += (seconds / batch.size - self._crop_seconds) * _NEWS
