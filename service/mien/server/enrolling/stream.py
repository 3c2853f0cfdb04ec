"""EnrollBatch: samples as they come, many of them in one transaction."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeAlias

import grpc

from mien import deadline
from mien.deadline import Deadline
from mien.errors import InvalidRequest, MienError
from mien.server.calls.admission import deadline_of
from mien.server.enrolling.enroller import Enroller, Outcome, Wanted
from mien.server.readers import Readers
from mien.server.streams import WINDOW, Arrivals, Streams, patiently, refusal
from mien.v1 import gallery_pb2

GROUP = 128
"""Samples that are committed together at most: those that were read while the group before was
committed and answered. Half of a stream's window, so that the other half can arrive meanwhile."""

AT_ONCE = 8
"""Pictures that one thread takes from bytes to vectors together: few enough for all threads to end
at about the same time, at the cost of a little with networks that gain from larger batches. Of
vectors a whole group is taken."""

LOOK_SECONDS = 1.0
"""How often it is looked whether a caller still waits, whose pictures wait for others'."""

_Requests: TypeAlias = Sequence[gallery_pb2.EnrollBatchRequest]
_Read: TypeAlias = Wanted | MienError
_Group: TypeAlias = list[tuple[gallery_pb2.EnrollBatchRequest, _Read]]


class EnrolStream:
    """What became of each sample of streams, in the order in which they came.

    A result is sent when its whole group is durable and searchable. A caller whose stream broke
    sends again what follows the last `durable_through_seq`; what was kept already is not kept
    twice, since it has the same request id or the same content.
    """

    def __init__(self, enroller: Enroller, streams: Streams, cores: int) -> None:
        """`cores`: so many threads look at pictures, all streams' together."""
        self._enroller = enroller
        self._streams = streams
        self._looking = threading.BoundedSemaphore(cores)
        self._threads = min(cores, WINDOW // AT_ONCE)
        """Of one stream: more find nothing to do."""

    def answers(
        self, requests: Iterator[gallery_pb2.EnrollBatchRequest], context: grpc.ServicerContext
    ) -> Iterator[gallery_pb2.EnrollBatchResponse]:
        """Raises TooManyStreams, InvalidRequest (`seq`), and what is wrong with the gallery."""
        with self._streams.arrivals(requests) as arrivals:
            order, waiting = _Order(arrivals), deadline_of(context)
            for group in self._groups(order, partial(self._read, order, waiting)):
                for request, response in self._kept(order.gallery_id, group, waiting):
                    yield response
                    arrivals.answered(request)
            order.raise_break()

    def _groups(
        self, order: "_Order", read: Callable[[_Requests], Sequence[_Read]]
    ) -> Iterator[_Group]:
        """Vectors are read at once: handing them to other threads takes longer.

        Raises GalleryNotFound, InvalidId and ModelMismatch, of the stream's gallery.
        """
        requests = order.take()
        if requests:
            self._enroller.check(order.gallery_id)
        while requests and not any(map(_has_picture, requests)):
            yield list(zip(requests, read(requests), strict=True))
            requests = order.take()
        if requests:
            parts = chain([requests], iter(order.take, []))
            readers = Readers(lambda: next(parts, []), read, self._threads)
            yield from iter(partial(readers.read, GROUP), [])

    def _read(self, order: "_Order", waiting: Deadline, requests: _Requests) -> list[_Read]:
        gallery_id, items = order.gallery_id, [request.item for request in requests]
        here = [item for item in items if item.gallery_id == gallery_id]
        read = iter(patiently(partial(self._looked, here), waiting))
        return [
            next(read) if item.gallery_id == gallery_id else _elsewhere(item, gallery_id)
            for item in items
        ]

    def _looked(self, items: Sequence[gallery_pb2.EnrollSampleRequest]) -> list[_Read]:
        """Raises QueueFull and DeadlineExceeded."""
        if not any(item.HasField("image") for item in items):
            return self._enroller.read(items)
        while not self._looking.acquire(timeout=LOOK_SECONDS):
            deadline.check("look at the pictures")
        try:
            return self._enroller.read(items)
        finally:
            self._looking.release()

    def _kept(
        self, gallery_id: str, group: _Group, waiting: Deadline
    ) -> Iterator[tuple[gallery_pb2.EnrollBatchRequest, gallery_pb2.EnrollBatchResponse]]:
        wanted = [each for _, each in group if isinstance(each, Wanted)]
        kept = iter(patiently(partial(self._enroller.enroll, gallery_id, wanted), waiting))
        last, _ = group[-1]
        for request, each in group:
            outcome = next(kept) if isinstance(each, Wanted) else each
            yield request, _response(request, outcome, durable=last.seq)


class _Order:
    """A stream's requests as they arrive; its gallery, and that its `seq` grows by one."""

    def __init__(self, arrivals: Arrivals[gallery_pb2.EnrollBatchRequest]) -> None:
        self._arrivals = arrivals
        self._next: int | None = None
        self._break: InvalidRequest | None = None
        self.gallery_id = ""
        """That of the first item."""

    def take(self) -> list[gallery_pb2.EnrollBatchRequest]:
        """What one thread reads together, up to the first that is out of order."""
        taken = [] if self._break else self._arrivals.take(GROUP, _effort)
        if taken and self._next is None:
            self.gallery_id = taken[0].item.gallery_id
        for at, request in enumerate(taken):
            if self._next is not None and request.seq != self._next:
                self._break = InvalidRequest(
                    f"seq {request.seq} follows {self._next - 1}; each is one more than the last"
                )
                return taken[:at]
            self._next = request.seq + 1
        return taken

    def raise_break(self) -> None:
        """Raise InvalidRequest if a request was out of order."""
        if self._break:
            raise self._break


def _has_picture(request: gallery_pb2.EnrollBatchRequest) -> bool:
    return request.item.HasField("image")


def _effort(request: gallery_pb2.EnrollBatchRequest) -> int:
    return GROUP // AT_ONCE if _has_picture(request) else 1


def _elsewhere(item: gallery_pb2.EnrollSampleRequest, gallery_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"the sample is for gallery {item.gallery_id[:140]!r}, and the stream is for "
        f"{gallery_id!r}; send it in a stream of its own"
    )


def _response(
    request: gallery_pb2.EnrollBatchRequest, outcome: Outcome, durable: int
) -> gallery_pb2.EnrollBatchResponse:
    if isinstance(outcome, MienError):
        outcome = gallery_pb2.EnrollSampleResponse(rejected=refusal(outcome))
    return gallery_pb2.EnrollBatchResponse(
        seq=request.seq, response=outcome, durable_through_seq=durable
    )
