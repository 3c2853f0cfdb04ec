"""EnrollBatch: samples as they come, many of them in one transaction."""

from collections.abc import Iterator, Sequence

from mien.errors import InvalidRequest, MienError
from mien.gallery.ids import check_id
from mien.server.enroller import Enroller, Outcome, Wanted
from mien.server.streams import Arrivals, Streams, refusal
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
        self, requests: Iterator[gallery_pb2.EnrollBatchRequest]
    ) -> Iterator[gallery_pb2.EnrollBatchResponse]:
        """Raises TooManyStreams, InvalidRequest (`seq`), and what is wrong with the gallery."""
        with self._streams.arrivals(requests) as arrivals:
            order = _Order()
            while group := arrivals.take(GROUP):
                yield from self._answer(order.gallery_of(group), order.checked(group), arrivals)
                order.raise_break()

    def _answer(
        self,
        gallery_id: str,
        group: Sequence[gallery_pb2.EnrollBatchRequest],
        arrivals: Arrivals[gallery_pb2.EnrollBatchRequest],
    ) -> Iterator[gallery_pb2.EnrollBatchResponse]:
        outcomes = self._outcomes(gallery_id, [request.item for request in group])
        for request, outcome in zip(group, outcomes, strict=True):
            yield gallery_pb2.EnrollBatchResponse(
                seq=request.seq, response=_written(outcome), durable_through_seq=group[-1].seq
            )
            arrivals.answered(request)

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

    def __init__(self) -> None:
        self._gallery_id: str | None = None
        self._next: int | None = None
        self._break: InvalidRequest | None = None

    def gallery_of(self, group: Sequence[gallery_pb2.EnrollBatchRequest]) -> str:
        """That of the first item. Raises InvalidId."""
        if self._gallery_id is None:
            check_id("gallery", group[0].item.gallery_id)
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


def _written(outcome: Outcome) -> gallery_pb2.EnrollSampleResponse:
    if isinstance(outcome, MienError):
        return gallery_pb2.EnrollSampleResponse(rejected=refusal(outcome))
    return outcome
