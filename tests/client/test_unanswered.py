"""What a stream that broke still has to send."""

import threading
from collections.abc import Iterator

import pytest

from mien.client.unanswered import Sending, Unanswered
from mien.errors import Internal
from mien.v1.gallery_pb2 import EnrollBatchResponse, EnrollSampleRequest


def items(count: int) -> Iterator[EnrollSampleRequest]:
    return (EnrollSampleRequest(subject_id=f"s-{number}") for number in range(1, count + 1))


def answer(seq: int) -> EnrollBatchResponse:
    return EnrollBatchResponse(seq=seq)


def test_a_stream_sends_all_numbered_from_1() -> None:
    sent = list(Sending(items(3)).requests())
    assert [(each.seq, each.item.subject_id) for each in sent] == [
        (1, "s-1"),
        (2, "s-2"),
        (3, "s-3"),
    ]


def test_the_next_stream_begins_with_the_first_that_is_not_answered() -> None:
    sending = Sending(items(5))
    first = sending.requests()
    for _ in range(4):
        next(first)
    sending.unanswered.answered(answer(1))
    sending.unanswered.answered(answer(2))
    assert [each.item.subject_id for each in sending.requests()] == ["s-3", "s-4", "s-5"]


def test_an_item_that_a_broken_stream_waited_for_is_not_lost() -> None:
    come, waiting = threading.Event(), threading.Event()

    def slow() -> Iterator[EnrollSampleRequest]:
        yield EnrollSampleRequest(subject_id="first")
        waiting.set()
        come.wait(10)
        yield EnrollSampleRequest(subject_id="second")

    sending = Sending(slow())
    broken = threading.Thread(target=lambda: list(sending.requests()))
    broken.start()
    waiting.wait(10)
    sending.unanswered.answered(answer(1))
    anew = sending.requests()
    threading.Timer(0.1, come.set).start()
    request = next(anew)
    broken.join(10)
    assert (request.seq, request.item.subject_id) == (2, "second")
    assert list(anew) == []


def test_an_answer_out_of_order_is_refused() -> None:
    unanswered = Unanswered()
    with pytest.raises(Internal):
        unanswered.answered(answer(1))
    unanswered.add(EnrollSampleRequest())
    with pytest.raises(Internal, match="answered 2, not 1"):
        unanswered.answered(answer(2))
