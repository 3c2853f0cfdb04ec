"""Samples of a stream that were sent and are not answered, so that a broken stream goes on."""

import threading
from collections import deque
from collections.abc import Iterator

from mien.errors import Internal
from mien.v1 import gallery_pb2


class Unanswered:
    """The first not answered is sent first when a stream begins again. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: deque[gallery_pb2.EnrollSampleRequest] = deque()
        self._first = 1

    @property
    def first(self) -> int:
        """`seq` of the first that is not answered."""
        return self._first

    def add(self, item: gallery_pb2.EnrollSampleRequest) -> None:
        """It is about to be sent."""
        with self._lock:
            self._items.append(item)

    def at(self, seq: int) -> gallery_pb2.EnrollBatchRequest | None:
        """What is sent under this number; None if it was not added yet."""
        with self._lock:
            place = seq - self._first
            if 0 <= place < len(self._items):
                return gallery_pb2.EnrollBatchRequest(seq=seq, item=self._items[place])
            return None

    def answered(self, response: gallery_pb2.EnrollBatchResponse) -> None:
        """Raises Internal unless it is the next in order."""
        with self._lock:
            if response.seq != self._first or not self._items:
                raise Internal(f"the server answered {response.seq}, not {self._first}")
            self._items.popleft()
            self._first += 1


class Sending:
    """The requests of a stream, and of those after it that go on: those of an iterator, in order.

    A stream that broke may still be waiting for the iterator's next item, in its own thread: that
    item is not lost, since whoever gets it adds it.
    """

    def __init__(self, items: Iterator[gallery_pb2.EnrollSampleRequest]) -> None:
        self._items = items
        self._pulling = threading.Lock()
        self.failure: Exception | None = None
        self.unanswered = Unanswered()

    def requests(self) -> Iterator[gallery_pb2.EnrollBatchRequest]:
        """From the first that is not answered on."""
        seq = self.unanswered.first
        while (request := self.unanswered.at(seq) or self._next(seq)) is not None:
            yield request
            seq += 1

    def _next(self, seq: int) -> gallery_pb2.EnrollBatchRequest | None:
        with self._pulling:
            if known := self.unanswered.at(seq):
                return known
            try:
                item = next(self._items, None)
            except Exception as error:
                self.failure = error  # grpc would end the stream and not say why
                raise
            if item is not None:
                self.unanswered.add(item)
        return self.unanswered.at(seq)
