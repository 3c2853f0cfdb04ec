"""EnrollBatch: samples as they come, many of them in one transaction."""

from collections.abc import Iterator, Sequence
from functools import partial

import grpc

from mien.errors import InvalidRequest, MienError
from mien.server.calls import deadline_of
from mien.server.enroller import Enroller, Outcome, Wanted
from mien.server.streams import Streams, patiently, refusal
from mien.v1 import gallery_pb2

GROUP = 128
"""Samples that are committed together at most: those that have arrived while the group before was
embedded and committed. Half of a stream's window, so that the other half can arrive meanwhile."""


class EnrolStream:
    """What became of each sample of streams, in the order in which they came.

    A result is sent when its whole group is durable and searchable. A caller whose stream broke
    sends again what follows the last `durable_through_seq`; what was kept already is not kept
    twice, since it has the same request id or the same content.
    """

    def __init__(self, enroller: Enroller, streams: Streams) -> None:
        self._enroller = enroller
        self._streams = streams

    def answers(
        self, requests: Iterator[gallery_pb2.EnrollBatchRequest], context: grpc.ServicerContext
    ) -> Iterator[gallery_pb2.EnrollBatchResponse]:
        """Raises TooManyStreams, InvalidRequest (`seq`), and what is wrong with the gallery."""
        with self._streams.arrivals(requests) as arrivals:
            order, waiting = _Order(self._enroller), deadline_of(context)
            while group := arrivals.take(GROUP):
                gallery_id, sound = order.gallery_of(group), order.checked(group)
                items = [request.item for request in sound]
                outcomes = patiently(partial(self._outcomes, gallery_id, items), waiting)
                for request, outcome in zip(sound, outcomes, strict=True):
                    yield _response(request, outcome, durable=sound[-1].seq)
                    arrivals.answered(request)
                order.raise_break()

    def _outcomes(
        self, gallery_id: str, items: Sequence[gallery_pb2.EnrollSampleRequest]
    ) -> list[Outcome]:
        here = [item for item in items if item.gallery_id == gallery_id]
        read = iter(self._enroller.read(here))
        asked: list[Wanted | MienError] = [
            next(read) if item.gallery_id == gallery_id else _elsewhere(item, gallery_id)
            for item in items
        ]
        kept = iter(
            self._enroller.enroll(gallery_id, [each for each in asked if isinstance(each, Wanted)])
        )
        return [next(kept) if isinstance(each, Wanted) else each for each in asked]


class _Order:
    """A stream's gallery, and that its `seq` grows by one."""

    def __init__(self, enroller: Enroller) -> None:
        self._enroller = enroller
        self._gallery_id: str | None = None
        self._next: int | None = None
        self._break: InvalidRequest | None = None

    def gallery_of(self, group: Sequence[gallery_pb2.EnrollBatchRequest]) -> str:
        """That of the first item. Raises GalleryNotFound, InvalidId and ModelMismatch."""
        if self._gallery_id is None:
            self._enroller.check(group[0].item.gallery_id)
            self._gallery_id = group[0].item.gallery_id
        return self._gallery_id

    def checked(
        self, group: Sequence[gallery_pb2.EnrollBatchRequest]
    ) -> list[gallery_pb2.EnrollBatchRequest]:
        """The requests up to the first that is out of order."""
        for at, request in enumerate(group):
            if self._next is not None and request.seq != self._next:
                self._break = InvalidRequest(
                    f"seq {request.seq} follows {self._next - 1}; each is one more than the last"
                )
                return list(group[:at])
            self._next = request.seq + 1
        return list(group)

    def raise_break(self) -> None:
        """Raise InvalidRequest if a request was out of order."""
        if self._break:
            raise self._break


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
