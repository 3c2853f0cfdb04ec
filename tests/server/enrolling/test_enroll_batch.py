"""EnrollBatch over a real socket: order, groups, refusals, and streams that break."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from mien import errors
from mien.client import Client, enrolment
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import gallery_pb2
from mien.v1.gallery_pb2 import (
    DUPLICATE_POLICY_REJECT_OTHER_SUBJECT,
    DUPLICATE_POLICY_SKIP_IDENTICAL,
    EnrollBatchRequest,
    EnrollBatchResponse,
)
from mien.v1.gallery_pb2_grpc import GalleryServiceStub
from tests import processes
from tests.faces import encoded
from tests.server.sent import embedding, reasons, refusal


@pytest.fixture
def people(client: Client) -> str:
    """An empty gallery."""
    client.create_gallery("people")
    return "people"


def request(seq: int, number: int, gallery: str = "people") -> EnrollBatchRequest:
    """Of one picture of a person of that number, under a request id that is always the same."""
    item = enrolment(gallery, f"p-{number}", encoded(number, 0), request_id=f"r-{number}")
    return EnrollBatchRequest(seq=seq, item=item)


def enrolled(channel: grpc.Channel, *requests: EnrollBatchRequest) -> list[EnrollBatchResponse]:
    return list(GalleryServiceStub(channel).EnrollBatch(iter(requests), timeout=60))


class TestAnswers:
    def test_results_come_in_order_and_say_what_is_durable(
        self, client: Client, channel: grpc.Channel, people: str
    ) -> None:
        answers = enrolled(channel, *(request(seq, seq) for seq in range(7, 47)))
        assert [each.seq for each in answers] == list(range(7, 47))
        assert all(each.durable_through_seq >= each.seq for each in answers)
        assert answers[-1].durable_through_seq == 46
        assert all(each.response.sample.sample_id for each in answers)
        assert client.get_gallery(people).samples == 40
        found = client.identify(people, encoded(9, 0), RawThreshold(0)).faces[0].candidates[0]
        assert found.sample_id == answers[2].response.sample.sample_id

    def test_many_samples_are_one_commit(
        self, client: Client, channel: grpc.Channel, people: str
    ) -> None:
        """The revision grows by one with each transaction."""
        vectors = client.embed([encoded(number, 0) for number in range(64)]).items
        requests = [
            EnrollBatchRequest(
                seq=seq,
                item=enrolment(
                    people,
                    f"p-{seq}",
                    vectors[seq % 64].ok.embedding,
                    duplicates=DUPLICATE_POLICY_SKIP_IDENTICAL,
                ),
            )
            for seq in range(2000)
        ]
        enrolled(channel, *requests)
        info = client.get_gallery(people)
        assert info.samples == 2000
        assert info.revision < 2000 / 4

    def test_what_is_wrong_with_an_item_is_its_outcome(
        self, channel: grpc.Channel, client: Client, people: str
    ) -> None:
        good = embedding(client, 1)
        foreign = embedding(client, 2)
        foreign.model_fingerprint = "f" * 64
        short = embedding(client, 2)
        short.dim = 3
        items = [
            enrolment(people, "ok-1", good),
            enrolment(people, "bad id", good),
            enrolment(people, "s", b"no picture"),
            enrolment(people, "s", foreign),
            enrolment(people, "s", short),
            enrolment("elsewhere", "s", good),
            enrolment(people, "s", good, duplicate_fmr=1e-9),
            gallery_pb2.EnrollSampleRequest(gallery_id=people, subject_id="s"),
            enrolment(people, "s", good, labels={"": ""}),
            enrolment(people, "s", encoded(3, 0), request_id="r"),
            enrolment(people, "t", encoded(3, 0), request_id="r"),
            enrolment(people, "ok-2", encoded(4, 0)),
        ]
        answers = enrolled(
            channel, *(EnrollBatchRequest(seq=seq, item=item) for seq, item in enumerate(items))
        )
        assert [reasons(each.response.rejected.reasons) for each in answers] == [
            [],
            ["INVALID_ID"],
            ["IMAGE_UNDECODABLE"],
            ["MODEL_MISMATCH"],
            ["INVALID_EMBEDDING"],
            ["INVALID_REQUEST"],
            ["UNSUPPORTED_OPERATING_POINT"],
            ["INVALID_REQUEST"],
            ["INVALID_REQUEST"],
            [],
            ["REQUEST_ID_REUSED"],
            [],
        ]
        assert all(
            each.response.HasField("sample") != each.response.HasField("rejected")
            for each in answers
        )
        assert {each.subject_id for each in client.subjects(people)} == {"ok-1", "s", "ok-2"}

    def test_what_is_only_validated_is_not_kept(
        self, channel: grpc.Channel, client: Client, people: str
    ) -> None:
        kept, tried = request(1, 1), request(2, 2)
        tried.item.validate_only = True
        answers = enrolled(channel, kept, tried)
        assert [bool(each.response.sample.sample_id) for each in answers] == [True, False]
        assert client.get_gallery(people).samples == 1

    def test_one_face_under_two_names_of_one_group_is_noticed(
        self, channel: grpc.Channel, client: Client, people: str
    ) -> None:
        policy = DUPLICATE_POLICY_REJECT_OTHER_SUBJECT
        first = enrolment(people, "a", encoded(1, 0))
        warned = enrolment(people, "b", embedding(client, 1))
        refused = enrolment(people, "c", embedding(client, 1, 0), duplicates=policy)
        itself = enrolment(people, "a", embedding(client, 1), duplicates=policy)
        answers = enrolled(
            channel,
            EnrollBatchRequest(seq=1, item=first),
            EnrollBatchRequest(seq=2, item=warned),
            EnrollBatchRequest(seq=3, item=refused),
        )
        assert not answers[0].response.near_subjects
        assert [each.subject_id for each in answers[1].response.near_subjects] == ["a"]
        assert reasons(answers[2].response.rejected.reasons) == ["DUPLICATE_OTHER_SUBJECT"]
        client.delete_subject(people, "b")
        (own,) = enrolled(channel, EnrollBatchRequest(seq=1, item=itself))
        assert own.response.HasField("sample")

    def test_an_empty_stream_is_answered_by_nothing(self, channel: grpc.Channel) -> None:
        assert enrolled(channel) == []


class TestRefusals:
    @pytest.mark.parametrize("second", [1, 3, 0], ids=["repeated", "left out", "back"])
    def test_a_number_out_of_order_ends_the_stream_after_those_before_it(
        self, channel: grpc.Channel, client: Client, people: str, second: int
    ) -> None:
        answers = GalleryServiceStub(channel).EnrollBatch(
            iter([request(1, 1), request(second, 2)]), timeout=30
        )
        assert next(answers).durable_through_seq == 1
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        assert refusal(caught.value)[:2] == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        )
        assert client.get_gallery(people).samples == 1

    @pytest.mark.parametrize(
        ("gallery", "reason"), [("nowhere", "GALLERY_NOT_FOUND"), ("no where", "INVALID_ID")]
    )
    def test_a_gallery_that_is_none_ends_the_stream(
        self, channel: grpc.Channel, gallery: str, reason: str
    ) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            enrolled(channel, request(1, 1, gallery))
        assert refusal(caught.value)[1] == reason


class TestBrokenStreams:
    def test_a_client_that_was_killed_goes_on_and_nothing_is_there_twice(
        self, client: Client, channel: grpc.Channel, people: str
    ) -> None:
        acknowledged: list[EnrollBatchResponse] = []
        sent = 0

        def requests() -> Iterator[EnrollBatchRequest]:
            nonlocal sent
            for seq in range(1, 401):
                sent = seq
                yield request(seq, seq)

        answers = GalleryServiceStub(channel).EnrollBatch(requests())
        for answer in answers:
            acknowledged.append(answer)
            if len(acknowledged) == 70:
                answers.cancel()
                break
        durable = acknowledged[-1].durable_through_seq
        assert 70 <= durable <= sent <= 400
        rest = enrolled(channel, *(request(seq, seq) for seq in range(71, 401)))
        assert [each.seq for each in rest] == list(range(71, 401))
        assert client.get_gallery(people).samples == 400
        known = {each.seq: each.response.sample.sample_id for each in acknowledged + rest}
        assert len(set(known.values())) == 400
        for seq in (1, 70, 71, durable, 400):
            (sample,) = client.get_subject(people, f"p-{seq}").samples
            assert sample.sample_id == known[seq]

    def test_without_request_ids_the_content_tells(
        self, client: Client, channel: grpc.Channel, people: str
    ) -> None:
        requests = [request(seq, seq) for seq in range(1, 21)]
        for each in requests:
            each.item.request_id = ""
        first = enrolled(channel, *requests)
        again = enrolled(channel, *requests)
        assert all(each.response.already_existed for each in again)
        assert [each.response.sample for each in again] == [each.response.sample for each in first]
        assert client.get_gallery(people).samples == 20

    def test_a_server_that_is_killed_has_what_it_acknowledged_and_the_client_goes_on(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        """The whole way: a real process, SIGKILL amid a batch, a new one at the same address."""
        data = tmp_path / "data"
        with processes.serving(bundle.folder, data) as first:
            address = first.address
            client = Client(address)
            client.create_gallery("people")
            acknowledged: list[EnrollBatchResponse] = []
            replaced: list[processes.ServerProcess] = []
            for answer in client.enroll_batch(request(0, n).item for n in range(600)):
                acknowledged.append(answer)
                if len(acknowledged) == 200:
                    first.kill()
                    held = _samples_in(data)
                    assert held >= 200
                    replaced.append(_serve_at(address, bundle.folder, data))
        try:
            assert [each.seq for each in acknowledged] == list(range(1, 601))
            samples = {each.response.sample.sample_id for each in acknowledged}
            assert len(samples) == 600
            assert client.get_gallery("people").samples == 600
            for n in (0, 199, 200, 599):
                (sample,) = client.get_subject("people", f"p-{n}").samples
                assert sample == acknowledged[n].response.sample
        finally:
            client.close()
            replaced[0].terminate()

    def test_a_server_that_stops_lets_the_client_go_on_with_the_next(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        first = Server(Settings(bundle.folder, tmp_path / "data", port=0, drain_seconds=0.2))
        stopped = threading.Event()

        def items() -> Iterator[gallery_pb2.EnrollSampleRequest]:
            for n in range(40):
                if n == 20:
                    stopped.wait(30)
                yield request(0, n).item

        with Client(f"127.0.0.1:{first.port}") as client:
            client.create_gallery("people")
            answers = client.enroll_batch(items())
            taken = [next(answers) for _ in range(20)]
            first.stop()
            second = Server(Settings(bundle.folder, tmp_path / "data", port=first.port))
            stopped.set()
            with second:
                taken += answers
                assert [each.seq for each in taken] == list(range(1, 41))
                assert client.get_gallery("people").samples == 40

    def test_a_slow_client_is_not_read_ahead_of(
        self, client: Client, address: str, people: str
    ) -> None:
        """The transport holds some MiB, the server's window little of this."""
        vector, sent, size = embedding(client, 1), 0, 1000

        def requests() -> Iterator[EnrollBatchRequest]:
            nonlocal sent
            while True:
                sent += 1
                item = enrolment(people, "s", vector, source="x" * size)
                yield EnrollBatchRequest(seq=sent, item=item)

        with grpc.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
            answers = GalleryServiceStub(channel).EnrollBatch(requests())
            next(answers)
            before = -1
            while before != sent:
                before = sent
                time.sleep(0.5)
            assert sent * size < 16 * 2**20
            answers.cancel()
        assert client.get_gallery(people).samples == 1


def _samples_in(data: Path) -> int:
    with sqlite3.connect(data / "mien.sqlite3") as store:
        (count,) = store.execute("SELECT count(*) FROM samples").fetchone()
    store.close()
    return int(count)


def _serve_at(address: str, bundle: Path, data: Path) -> processes.ServerProcess:
    return processes.ServerProcess(
        processes.executable("mien"),
        "serve",
        str(bundle),
        "--data",
        str(data),
        "--address",
        address,
    )


def test_an_iterator_that_fails_fails_the_call(client: Client, people: str) -> None:
    def items() -> Iterator[gallery_pb2.EnrollSampleRequest]:
        yield request(0, 1).item
        raise FileNotFoundError("next.png")

    with pytest.raises(FileNotFoundError, match=r"next\.png"):
        list(client.enroll_batch(items()))


def test_a_refused_stream_is_not_tried_again(client: Client) -> None:
    with pytest.raises(errors.GalleryNotFound):
        list(client.enroll_batch([request(0, 1).item]))
