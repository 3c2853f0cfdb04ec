"""Streams of requests: the window alone, and EmbedStream and IdentifyStream over a real socket."""

import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from mien import errors
from mien.client import Client, search
from mien.deadline import Deadline
from mien.server.streams import MAX_STREAMS, Arrivals, Streams, patiently
from mien.v1 import embedding_pb2, match_pb2
from mien.v1.embedding_pb2_grpc import EmbeddingServiceStub
from mien.v1.match_pb2_grpc import MatchServiceStub
from tests.faces import encoded
from tests.server.sent import reasons, refusal
from tests.server.waiting import wait

Request = embedding_pb2.EmbedStreamRequest


class Source:
    """Requests without end, and how many were read."""

    def __init__(self, size: int = 0) -> None:
        self.read = 0
        self._size = size

    def __iter__(self) -> Iterator[Request]:
        while True:
            self.read += 1
            yield Request(tag="x" * self._size)


class TestArrivals:
    def test_no_more_is_read_than_the_window_holds(self) -> None:
        source = Source()
        arrivals = Arrivals(iter(source), window=4)
        wait(lambda: source.read == 4)
        taken = arrivals.take(100)
        time.sleep(0.05)
        assert (len(taken), source.read) == (4, 4)
        arrivals.close()

    def test_reading_goes_on_when_half_of_the_window_is_free(self) -> None:
        source = Source()
        arrivals = Arrivals(iter(source), window=4)
        wait(lambda: source.read == 4)
        taken = arrivals.take(100)
        arrivals.answered(taken[0])
        time.sleep(0.05)
        assert source.read == 4
        arrivals.answered(taken[1])
        wait(lambda: source.read == 6)
        time.sleep(0.05)
        assert source.read == 6
        arrivals.close()

    def test_the_next_is_read_after_one_that_was_heavier_than_all_may_be(self) -> None:
        source = Source(size=1000)
        arrivals = Arrivals(iter(source), size=10)
        for number in range(1, 4):
            (taken,) = arrivals.take()
            assert source.read == number
            arrivals.answered(taken)
            wait(lambda: source.read == number + 1)  # noqa: B023 - called here
        arrivals.close()

    def test_heavy_requests_fill_the_window_sooner_and_one_always_fits(self) -> None:
        source = Source(size=1000)
        arrivals = Arrivals(iter(source), window=100, size=2500)
        wait(lambda: source.read == 3)
        time.sleep(0.05)
        assert source.read == 3
        arrivals.close()
        alone = Arrivals(iter([Request(tag="x" * 1000)]), size=10)
        assert len(alone.take()) == 1

    def test_what_arrived_is_taken_in_order_and_then_nothing(self) -> None:
        arrivals = Arrivals(Request(tag=str(number)) for number in range(5))
        taken = []
        while some := arrivals.take(2):
            assert len(some) <= 2
            taken += some
        assert [each.tag for each in taken] == list("01234")
        assert arrivals.take() == []

    def test_a_caller_who_goes_ends_them(self) -> None:
        def broken() -> Iterator[Request]:
            yield Request()
            raise grpc.RpcError

        arrivals = Arrivals(broken())
        wait(lambda: arrivals.take() == [])

    def test_when_closed_nothing_more_is_read(self) -> None:
        source = Source()
        arrivals = Arrivals(iter(source), window=2)
        wait(lambda: source.read == 2)
        arrivals.close()
        assert arrivals.take() == []
        assert source.read == 2


def test_a_failure_to_read_ends_a_stream_as_a_failure() -> None:
    def requests() -> Iterator[Request]:
        yield Request(tag="a")
        raise LookupError("unforeseen")

    streams = Streams()
    place = streams.arrivals(requests())
    arrivals = place.__enter__()
    assert [each.tag for each in arrivals.take()] == ["a"]
    assert arrivals.take() == []
    with pytest.raises(LookupError, match="unforeseen"):
        place.__exit__(None, None, None)
    assert streams.open == 0


def test_a_place_is_free_again_after_a_stream() -> None:
    streams = Streams(most=1)
    for _ in range(3):
        with streams.arrivals(iter([Request()])), pytest.raises(errors.TooManyStreams):  # noqa: SIM117
            with streams.arrivals(iter([Request()])):
                pass


class TestPatience:
    def test_a_stream_waits_for_a_full_queue(self) -> None:
        full = [errors.QueueFull("full", 0.01)] * 3
        asked = 0

        def work() -> Request:
            nonlocal asked
            asked += 1
            if full:
                raise full.pop()
            return Request(tag="done")

        assert patiently(work, Deadline()).tag == "done"
        assert asked == 4

    def test_but_not_for_a_caller_who_has_gone(self) -> None:
        def work() -> Request:
            raise errors.QueueFull("full", 0.01)

        with pytest.raises(errors.CallerGone):
            patiently(work, Deadline(gone=lambda: True))

    def test_nor_where_waiting_does_not_help(self) -> None:
        def work() -> Request:
            raise errors.QueueFull("full", None)

        with pytest.raises(errors.QueueFull):
            patiently(work, Deadline())


class TestEmbedStream:
    def test_every_tag_has_its_outcome(self, client: Client) -> None:
        pictures = [(str(number), encoded(number, 0)) for number in range(40)]
        pictures[7] = ("7", b"no picture")
        outcomes = {each.tag: each for each in client.embed_stream(pictures)}
        assert set(outcomes) == {tag for tag, _ in pictures}
        refused = outcomes.pop("7").rejected
        assert reasons(refused.reasons) == ["IMAGE_UNDECODABLE"]
        assert refused.message
        for number in (0, 39):
            alone = client.embed([encoded(number, 0)]).items[0].ok.embedding
            assert outcomes[str(number)].ok.embedding == alone

    def test_an_empty_stream_is_answered_by_nothing(self, client: Client) -> None:
        assert list(client.embed_stream([])) == []

    @pytest.mark.parametrize(
        "fields", [{"tag": "ä" * 65}, {"multi_face": 3}, {"multi_face": 9}], ids=str
    )
    def test_what_is_wrong_with_one_does_not_end_the_stream(
        self, channel: grpc.Channel, fields: dict[str, object]
    ) -> None:
        good = Request(tag="good", image={"content": encoded(1, 0)})  # type: ignore[arg-type]
        bad = Request(image=good.image, **({"tag": "bad"} | fields))  # type: ignore[arg-type]
        outcomes = {
            each.tag: each
            for each in EmbeddingServiceStub(channel).EmbedStream(iter([bad, good]), timeout=30)
        }
        assert outcomes["good"].HasField("ok")
        assert reasons(outcomes[bad.tag].rejected.reasons) == ["INVALID_REQUEST"]

    def test_an_unforeseen_failure_is_one_item_s(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr("mien.server.servicers.embedding.messages.write_embedding", fail)
        (outcome,) = client.embed_stream([("t", encoded(1, 0))])
        assert reasons(outcome.rejected.reasons) == ["INTERNAL"]
        assert "secret" not in outcome.rejected.message
        assert "ZeroDivisionError: secret" in caplog.text

    def test_a_slow_client_is_not_read_ahead_of(self, client: Client, address: str) -> None:
        """It takes no answers: the server fills 64 KiB with them, and its window, and waits."""
        sent, picture = 0, encoded(1, 0)

        def pictures() -> Iterator[Request]:
            nonlocal sent
            while True:
                sent += 1
                yield Request(tag="x" * 128, image={"content": picture})  # type: ignore[arg-type]

        with grpc.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
            answers = EmbeddingServiceStub(channel).EmbedStream(pictures())
            next(answers)
            before = -1
            while before != sent:
                before = sent
                time.sleep(0.5)
            assert sent < 2000
            for _ in range(100):
                next(answers)
            answers.cancel()
        assert client.is_serving()

    def test_no_more_streams_are_served_than_there_are_places(
        self, client: Client, channel: grpc.Channel
    ) -> None:
        ended = threading.Event()

        def endless() -> Iterator[Request]:
            yield Request(tag="t", image={"content": encoded(1, 0)})  # type: ignore[arg-type]
            ended.wait(30)

        stub = EmbeddingServiceStub(channel)
        opened = [stub.EmbedStream(endless()) for _ in range(MAX_STREAMS)]
        assert all(next(each).HasField("ok") for each in opened)
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.EmbedStream(endless()))
        expected = (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", "mien")
        assert refusal(caught.value) == expected
        assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
        ended.set()
        assert not any(list(each) for each in opened)
        assert len(list(client.embed_stream([("t", encoded(1, 0))]))) == 1

    def test_a_deadline_ends_the_stream(self, channel: grpc.Channel) -> None:
        ended = threading.Event()

        def endless() -> Iterator[Request]:
            ended.wait(30)
            yield from ()

        with pytest.raises(grpc.RpcError) as caught:
            list(EmbeddingServiceStub(channel).EmbedStream(endless(), timeout=0.5))
        ended.set()
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


class TestIdentifyStream:
    def test_answers_are_those_of_single_searches(self, client: Client, gallery: str) -> None:
        searches = [
            (str(person), search(gallery, encoded(person, 9), explain=True)) for person in range(5)
        ]
        answers = {each.tag: each.response for each in client.identify_stream(searches)}
        assert len(answers) == 5
        for tag, request in searches:
            alone = client.identify(gallery, request.probe.image.content, explain=True)
            assert answers[tag] == alone

    def test_what_is_wrong_with_one_does_not_end_the_stream(
        self, client: Client, gallery: str
    ) -> None:
        searches = [
            ("unknown", search("nowhere", encoded(1, 0))),
            ("behind", search(gallery, encoded(1, 0), min_revision=10**6)),
            ("many", search(gallery, encoded(1, 0), candidates=101)),
            ("picture", search(gallery, b"")),
            ("empty", match_pb2.IdentifyRequest(gallery_id=gallery)),
            ("good", search(gallery, encoded(1, 9))),
        ]
        answers = {each.tag: each for each in client.identify_stream(searches)}
        assert answers.pop("good").response.faces[0].candidates[0].subject_id == "person-1"
        assert {tag: reasons(each.rejected.reasons) for tag, each in answers.items()} == {
            "unknown": ["GALLERY_NOT_FOUND"],
            "behind": ["REVISION_NOT_REACHED"],
            "many": ["INVALID_REQUEST"],
            "picture": ["IMAGE_UNDECODABLE"],
            "empty": ["INVALID_REQUEST"],
        }

    def test_a_tag_that_is_too_long_is_refused(self, channel: grpc.Channel, gallery: str) -> None:
        request = match_pb2.IdentifyStreamRequest(
            tag="x" * 129, request=search(gallery, encoded(1, 0))
        )
        (answer,) = MatchServiceStub(channel).IdentifyStream(iter([request]), timeout=30)
        assert answer.tag == request.tag
        assert reasons(answer.rejected.reasons) == ["INVALID_REQUEST"]
