"""Both clients: the same calls, the same errors, against servers that fail in known ways."""

import asyncio
import inspect
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from mien import errors
from mien.client import AsyncClient, Client, enrolment, requests, rpcs, search
from mien.client.rpc import Rpc
from mien.matching.decision import RawThreshold
from mien.server.calls.statuses import ErrorInterceptor
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import gallery_pb2, model_pb2
from mien.v1.probe_pb2 import SubjectRef
from tests.faces import encoded

Behaviour = Callable[[Any, grpc.ServicerContext], Any]

RPCS = [each for each in vars(rpcs).values() if isinstance(each, Rpc)]


@contextmanager
def failing(method: str, behaviour: Behaviour) -> Iterator[str]:
    """A server with one method of the contract; yields its address."""
    service, name = method.rsplit("/", 1)
    rpc = next(each for each in RPCS if (each.service, each.method) == (service, name))
    handler = grpc.unary_unary_rpc_method_handler(
        behaviour, lambda content: content, rpc.reply.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[ErrorInterceptor()])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {name: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class Flaky:
    """A method that refuses some calls first; keeps what it was asked and for how long."""

    def __init__(self, reply: object, *refusals: errors.MienError) -> None:
        self.asked: list[bytes] = []
        self.remaining: list[float] = []
        self._reply, self._refusals = reply, list(refusals)

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> object:
        self.asked.append(request)
        self.remaining.append(context.time_remaining())
        if self._refusals:
            raise self._refusals.pop(0)
        return self._reply


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(address: str, call: Callable[[AsyncClient], Any], deadline: float = 30) -> Any:
    """What an asynchronous call answers."""

    async def inside() -> Any:
        async with AsyncClient(address, deadline) as client:
            return await call(client)

    return asyncio.run(inside())


def test_both_clients_have_the_same_calls() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(kind).items()
            if callable(member) and not name.startswith("_")
        }

    assert public(Client) == public(AsyncClient)


def test_every_call_says_what_it_does() -> None:
    for kind in (Client, AsyncClient):
        for name, member in vars(kind).items():
            if callable(member) and not name.startswith("_") and name != "close":
                assert inspect.getdoc(member), name


def test_every_call_is_safe_to_repeat() -> None:
    """It changes nothing, or it carries a request id: the caller's own, or a new one each time."""
    changes = [
        requests.create_gallery("g"),
        requests.label_gallery("g", {}),
        requests.retain("g"),
        requests.delete_gallery("g"),
        requests.enrolment("g", "s", b"x"),
        requests.update_subject("g", "s", display_name="x"),
        requests.merge_subjects("g", "a", ["b"]),
        requests.delete_samples("g", ["x"]),
        requests.delete_subject("g", "s"),
    ]
    ids = [str(getattr(each, "request_id", None)) for each in changes]
    assert len(set(ids)) == len(changes)
    assert all(len(each) == 32 for each in ids)
    assert requests.delete_subject("g", "s", request_id="mine").request_id == "mine"
    changing = {type(each) for each in changes}
    for rpc in RPCS:
        kinds = [each for each in changes if type(each).__name__ == f"{rpc.method}Request"]
        assert bool(kinds) == ("request_id" in _fields(rpc)), rpc.method
        assert all(rpc.is_safe(each) for each in kinds)
        assert kinds or rpc.is_safe(model_pb2.GetModelRequest())
    assert gallery_pb2.EnrollSampleRequest in changing
    bare = gallery_pb2.DeleteSubjectRequest(gallery_id="g", subject_id="s")
    assert not rpcs.DELETE_SUBJECT.is_safe(bare)


def _fields(rpc: Rpc[Any, Any]) -> set[str]:
    returned = inspect.signature(rpc.request).return_annotation
    return {field.name for field in returned.DESCRIPTOR.fields}


class TestRepetition:
    def test_a_full_queue_is_asked_again_with_the_same_request_id(self) -> None:
        full = errors.QueueFull("full", 0.05)
        reply = gallery_pb2.Gallery(gallery_id="g")
        for made in (
            lambda address: Client(address).create_gallery("g"),
            lambda address: run(address, lambda client: client.create_gallery("g")),
        ):
            server = Flaky(reply, full, full)
            with failing("mien.v1.GalleryService/CreateGallery", server) as address:
                assert made(address) == reply
            assert len(server.asked) == 3
            assert len(set(server.asked)) == 1

    def test_the_deadline_is_never_passed(self) -> None:
        server = Flaky(model_pb2.Model(), *[errors.QueueFull("full", 0.3)] * 9)
        with failing("mien.v1.ModelService/GetModel", server) as address:
            started = time.monotonic()
            with pytest.raises(errors.QueueFull) as caught:
                Client(address, deadline=0.8).model()
            assert time.monotonic() - started < 0.8
        assert caught.value.retry_after == pytest.approx(0.3)
        assert len(server.asked) >= 2
        assert max(server.remaining) <= 0.8
        assert server.remaining == sorted(server.remaining, reverse=True)

    def test_what_would_fail_again_is_asked_once(self) -> None:
        server = Flaky(model_pb2.Model(), errors.ModelNotFound("no"))
        with failing("mien.v1.ModelService/GetModel", server) as address:
            with pytest.raises(errors.ModelNotFound, match="no"):
                Client(address).model()
            assert len(server.asked) == 1

    def test_a_server_that_comes_late_is_found(self, bundle: Any, tmp_path: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with Client(f"127.0.0.1:{port}") as client, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.model)
            with Server(Settings(bundle.folder, tmp_path / "data", port=port)):
                assert answer.result(timeout=30).model_id == bundle.manifest.name


class TestErrors:
    def test_nobody_there_is_unavailable(self, closed_port: int) -> None:
        address = f"127.0.0.1:{closed_port}"
        with pytest.raises(errors.ServerUnavailable, match=address):
            Client(address, deadline=2).model()
        with pytest.raises(errors.ServerUnavailable, match=address):
            run(address, lambda client: client.model(), deadline=2)

    def test_an_answer_that_comes_too_late_is_a_deadline(self) -> None:
        def slow(_request: bytes, _context: grpc.ServicerContext) -> model_pb2.Model:
            time.sleep(0.5)
            return model_pb2.Model()

        with failing("mien.v1.ModelService/GetModel", slow) as address:
            with pytest.raises(errors.DeadlineExceeded, match=address):
                Client(address, deadline=0.1).model()
            with pytest.raises(errors.DeadlineExceeded, match=address):
                run(address, lambda client: client.model(), deadline=0.1)

    def test_a_request_over_16_mebibytes_says_so(self, address: str) -> None:
        pictures = [b"\0" * (6 * 2**20)] * 3
        with pytest.raises(errors.ImageTooLarge, match="16,777,216"):
            Client(address).embed(pictures)
        with pytest.raises(errors.ImageTooLarge, match="16,777,216"):
            run(address, lambda client: client.embed(pictures))

    def test_streams_fail_with_the_same_errors(self, address: str, closed_port: int) -> None:
        with pytest.raises(errors.GalleryNotFound):
            list(Client(address).enroll_batch([enrolment("none", "s", b"x")]))
        with pytest.raises(errors.ServerUnavailable):
            list(Client(f"127.0.0.1:{closed_port}").embed_stream([("t", b"x")]))

        async def stream(client: AsyncClient) -> None:
            async for _ in client.enroll_batch(each(enrolment("none", "s", b"x"))):
                pass

        with pytest.raises(errors.GalleryNotFound):
            run(address, stream)


async def each(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


def test_the_asynchronous_client_does_the_whole_round(address: str) -> None:
    async def round_trip(client: AsyncClient) -> None:
        assert await client.is_serving()
        await client.create_gallery("g", labels={"a": "1"})
        await client.label_gallery("g", {"b": "2"})
        samples = [enrolment("g", f"s-{n}", encoded(n, 0)) for n in range(30)]
        answers = [answer async for answer in client.enroll_batch(each(*samples))]
        assert [answer.seq for answer in answers] == list(range(1, 31))
        await client.enroll("g", "s-0", encoded(0, 1))
        found = [subject.subject_id async for subject in client.subjects("g", page_size=7)]
        assert len(found) == 30
        assert [gallery.gallery_id async for gallery in client.galleries()] == ["g"]
        searches = each(("t", search("g", encoded(3, 1), RawThreshold(0))))
        (answer,) = [answer async for answer in client.identify_stream(searches)]
        assert answer.response.faces[0].candidates[0].subject_id == "s-3"
        (outcome,) = [o async for o in client.embed_stream(each(("t", encoded(1, 0))))]
        assert outcome.ok.embedding.dim == 16
        subject = SubjectRef(gallery_id="g", subject_id="s-0")
        both = await asyncio.gather(*(client.verify(subject, encoded(0, 2)) for _ in range(8)))
        assert all(answer == both[0] for answer in both)
        assert (await client.export_subject("g", "s-0")).subject.subject_id == "s-0"
        await client.merge_subjects("g", "s-0", ["s-1"])
        await client.delete_subject("g", "s-2")
        assert (await client.get_gallery("g")).subjects == 28
        with pytest.raises(errors.SubjectNotFound):
            await client.get_subject("g", "s-2")

    run(address, round_trip)


def test_an_asynchronous_stream_goes_on_with_the_next_server(bundle: Any, tmp_path: Any) -> None:
    first = Server(Settings(bundle.folder, tmp_path / "data", port=0, drain_seconds=0.2))
    address = f"127.0.0.1:{first.port}"

    async def enrol(client: AsyncClient) -> None:
        await client.create_gallery("g")
        go_on, taken = asyncio.Event(), []

        async def items() -> AsyncIterator[gallery_pb2.EnrollSampleRequest]:
            for n in range(20):
                if n == 10:
                    await go_on.wait()
                yield enrolment("g", f"s-{n}", encoded(n, 0))

        async for answer in client.enroll_batch(items()):
            taken.append(answer.seq)
            if len(taken) == 10:
                await asyncio.to_thread(first.stop)
                restarted.append(
                    await asyncio.to_thread(
                        Server, Settings(bundle.folder, tmp_path / "data", port=first.port)
                    )
                )
                go_on.set()
        assert taken == list(range(1, 21))
        assert (await client.get_gallery("g")).samples == 20

    restarted: list[Server] = []
    try:
        run(address, enrol)
    finally:
        for server in restarted:
            server.stop()


def test_an_asynchronous_iterator_that_fails_fails_the_call(address: str) -> None:
    async def items() -> AsyncIterator[gallery_pb2.EnrollSampleRequest]:
        yield enrolment("g", "s", encoded(1, 0))
        raise FileNotFoundError("next.png")

    async def enrol(client: AsyncClient) -> None:
        await client.create_gallery("g")
        async for _ in client.enroll_batch(items()):
            pass

    with pytest.raises(FileNotFoundError):
        run(address, enrol)
