"""Calls that arrive together, over a real socket."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mien.client import Client
from mien.errors import DeadlineExceeded, QueueFull, ServerUnavailable
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.server import server as server_module
from mien.server.server import Server
from mien.v1 import embedding_pb2, probe_pb2
from mien.v1.embedding_pb2_grpc import EmbeddingServiceStub
from tests.faces import encoded
from tests.server.gated import Gated, gated
from tests.server.waiting import wait

SAME = 1e-6


@pytest.fixture
def held(bundle: Bundle, tmp_path: Path) -> Iterator[Gated]:
    with gated(bundle, tmp_path / "data", queue=6) as one:
        yield one


@pytest.fixture
def caller(held: Gated) -> Iterator[Client]:
    with Client(held.address) as connected:
        yield connected


def request(*people: int) -> embedding_pb2.EmbedRequest:
    images = [probe_pb2.Image(content=encoded(person, 0)) for person in people]
    return embedding_pb2.EmbedRequest(images=images)


def vectors(response: embedding_pb2.EmbedResponse) -> np.ndarray:
    return np.stack([np.frombuffer(x.ok.embedding.f32le, "<f4") for x in response.items])


def pictures(*people: int) -> list[bytes]:
    return [encoded(person, 0) for person in people]


def test_calls_that_wait_together_are_one_run_of_the_network(held: Gated, caller: Client) -> None:
    first = held.callers.submit(caller.embed, pictures(0))
    held.wait_for_run()
    others = [held.callers.submit(caller.embed, pictures(each)) for each in range(1, 5)]
    held.wait_for(4)
    held.gate.open.set()
    assert all(len(each.result().items) == 1 for each in [first, *others])
    assert held.gate.runs == [1, 4]


def test_a_call_is_cut_into_batches_and_put_together_in_order(
    held: Gated, caller: Client, bundle: Bundle
) -> None:
    held.gate.open.set()
    answer = vectors(caller.embed(pictures(*range(11))))
    assert held.gate.runs == [4, 4, 3]
    alone = [Pipeline(bundle).embed(each) for each in pictures(*range(11))]
    assert np.abs(answer - np.stack(alone)).max() <= SAME


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_vectors_are_the_same_alone_and_among_others(
    bundle: Bundle, tmp_path: Path, threads: int
) -> None:
    with gated(bundle, tmp_path / "data", threads=threads, batch=5) as one:
        one.gate.open.set()
        with Client(one.address) as client:
            alone = np.concatenate([vectors(client.embed(pictures(each))) for each in range(24)])
            asked = [range(at, at + size) for size in (1, 3, 7) for at in range(0, 24 - size, size)]
            answers = list(one.callers.map(lambda some: client.embed(pictures(*some)), asked))
    assert max(one.gate.runs) > 1
    for some, answer in zip(asked, answers, strict=True):
        assert np.abs(vectors(answer) - alone[list(some)]).max() <= SAME


def test_a_batch_chosen_by_measurement_answers(bundle: Bundle, tmp_path: Path) -> None:
    with gated(bundle, tmp_path / "data", batch=0) as one:
        one.gate.open.set()
        with Client(one.address) as client:
            assert len(client.embed(pictures(1, 2)).items) == 2


def test_a_full_queue_refuses_and_says_when_to_come_back(
    held: Gated, caller: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = held.callers.submit(caller.embed, pictures(0))
    held.wait_for_run()
    second = held.callers.submit(caller.embed, pictures(1, 2, 3, 4, 5))
    held.wait_for(5)
    with monkeypatch.context() as patch:
        patch.setattr(
            "mien.vision.cropper.decode_reduced", lambda *_: pytest.fail("it was decoded")
        )
        patch.setattr("mien.client.attempts.MOST", 1)
        with pytest.raises(QueueFull, match=r"5 pictures wait .* 2 more would exceed 6") as caught:
            caller.embed(pictures(6, 7))
    assert 0.05 <= (caught.value.retry_after or 0) < 10
    third = held.callers.submit(caller.embed, pictures(6))
    held.wait_for(6)
    held.gate.open.set()
    assert [len(each.result().items) for each in (first, second, third)] == [1, 5, 1]
    assert held.server.batcher.counts().refused == 2
    assert len(caller.embed(pictures(6, 7)).items) == 2


def test_the_status_of_a_full_queue_carries_retry_info(held: Gated) -> None:
    with grpc.insecure_channel(held.address) as channel:
        stub = EmbeddingServiceStub(channel)
        running = stub.Embed.future(request(0))
        held.wait_for_run()
        waiting = stub.Embed.future(request(*range(6)))
        held.wait_for(6)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Embed(request(1))
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(caught.value)
        assert status
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert (info.reason, info.domain) == ("QUEUE_FULL", "mien")
        assert retry.retry_delay.ToTimedelta().total_seconds() >= 0.05
        held.gate.open.set()
        assert len(running.result().items) == 1
        assert len(waiting.result().items) == 6


def test_one_call_larger_than_the_queue_is_taken_when_nothing_waits(
    held: Gated, caller: Client
) -> None:
    held.gate.open.set()
    assert len(caller.embed(pictures(*range(20))).items) == 20


def test_work_whose_deadline_passed_never_reaches_the_network(held: Gated, caller: Client) -> None:
    first = held.callers.submit(caller.embed, pictures(0))
    held.wait_for_run()
    with Client(held.address, deadline=0.3) as hasty, pytest.raises(DeadlineExceeded):
        hasty.embed(pictures(1, 2))
    third = held.callers.submit(caller.embed, pictures(3))
    held.wait_for(3)
    held.gate.open.set()
    assert len(first.result().items) == len(third.result().items) == 1
    assert held.gate.runs == [1, 1]
    assert held.server.batcher.counts().dropped == 2


def test_work_whose_caller_hung_up_never_reaches_the_network(held: Gated, caller: Client) -> None:
    first = held.callers.submit(caller.embed, pictures(0))
    held.wait_for_run()
    with grpc.insecure_channel(held.address) as channel:
        call = EmbeddingServiceStub(channel).Embed.future(request(1, 2))
        held.wait_for(2)
        call.cancel()
        # The server knows once another call of the connection was answered.
        with pytest.raises(grpc.RpcError):
            EmbeddingServiceStub(channel).Embed(embedding_pb2.EmbedRequest())
        held.gate.open.set()
        assert len(first.result().items) == 1
        wait(lambda: held.server.batcher.counts().dropped == 2)
    assert held.gate.runs == [1]


def test_a_call_too_many_is_refused_and_health_still_answers(
    bundle: Bundle, tmp_path: Path
) -> None:
    with gated(bundle, tmp_path / "data", calls=2) as one, Client(one.address) as client:
        first = one.callers.submit(client.embed, pictures(0))
        one.wait_for_run()
        second = one.callers.submit(client.embed, pictures(1))
        one.wait_for(1)
        with pytest.raises(QueueFull, match="2 calls are being answered") as caught:
            client.model()
        assert caught.value.retry_after == pytest.approx(0.5)
        assert client.is_serving()
        one.gate.open.set()
        assert len(first.result().items) == len(second.result().items) == 1
        wait(lambda: has_room(client))


def has_room(client: Client) -> bool:
    """A call leaves its place just after its answer has left."""
    try:
        return client.model().model_id != ""
    except QueueFull:
        return False


def test_what_grpc_itself_refuses_is_a_full_queue_too(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CALLS_IN_ALL", 1)
    with gated(bundle, tmp_path / "data", calls=1) as one, Client(one.address) as client:
        first = one.callers.submit(client.embed, pictures(0))
        one.wait_for_run()
        with pytest.raises(QueueFull, match="takes no more calls"):
            client.model()
        one.gate.open.set()
        assert len(first.result().items) == 1


def test_a_network_that_fails_fails_the_calls_of_its_batch_and_no_other(
    held: Gated, caller: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("the network")

    held.gate.open.set()
    with monkeypatch.context() as patch:
        patch.setattr(held.gate, "_inner", fail)
        with pytest.raises(Exception, match="the server failed"):
            caller.embed(pictures(1))
    assert "ZeroDivisionError: the network" in caplog.text
    assert len(caller.embed(pictures(1)).items) == 1


def test_stopping_finishes_what_was_accepted(held: Gated, caller: Client) -> None:
    calls = [held.callers.submit(caller.embed, pictures(0))]
    held.wait_for_run()
    calls += [held.callers.submit(caller.embed, pictures(each)) for each in range(1, 6)]
    held.wait_for(5)
    stopping = held.callers.submit(held.server.stop)
    with Client(held.address) as late, pytest.raises(ServerUnavailable):
        wait(lambda: late.model() is None)
    held.gate.open.set()
    assert all(len(each.result().items) == 1 for each in calls)
    stopping.result()


def test_stopping_ends_within_its_limit_even_if_the_network_does_not(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_SECONDS", 0.3)
    with gated(bundle, tmp_path / "data", drain_seconds=0.3) as one, Client(one.address) as client:
        calls = [one.callers.submit(client.embed, pictures(0))]
        one.wait_for_run()
        calls += [one.callers.submit(client.embed, pictures(each)) for each in (1, 2)]
        one.wait_for(2)
        start = time.monotonic()
        one.server.stop()
        assert time.monotonic() - start < 5
        assert all(each.exception(timeout=5) for each in calls)
        assert one.gate.runs == [1]


@pytest.mark.parametrize("seconds", [None, 1e6, 1e9])
def test_callers_may_wait_as_long_as_they_like(held: Gated, seconds: float | None) -> None:
    held.gate.open.set()
    with grpc.insecure_channel(held.address) as channel:
        response = EmbeddingServiceStub(channel).Embed(request(1, 2), timeout=seconds)
    assert len(response.items) == 2


def test_a_server_stops_twice(bundle: Bundle, tmp_path: Path) -> None:
    with gated(bundle, tmp_path / "data") as one:
        one.server.stop()
    assert isinstance(one.server, Server)
