"""A server that is told to stop while everybody calls."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mien.client import Client, enrolment
from mien.errors import MienError
from mien.gallery.galleries import Galleries
from mien.model.bundle import Bundle
from mien.v1.gallery_pb2 import DUPLICATE_POLICY_SKIP_IDENTICAL as SKIP
from mien.v1.gallery_pb2 import EnrollBatchRequest, EnrollSampleRequest
from mien.v1.gallery_pb2_grpc import GalleryServiceStub
from tests.faces import encoded
from tests.processes import serving

DRAIN_SECONDS = 3.0
AND_THEN_SECONDS = 8.0
"""For batches under way, closing galleries and the end of the process, on a busy machine."""
WRITERS = 3
Kept = set[tuple[str, str]]
"""Subject and sample."""


class Writer(threading.Thread):
    """Enrols until the server is gone; knows what was acknowledged."""

    def __init__(self, address: str, number: int) -> None:
        super().__init__()
        self._address, self._number = address, number
        self.acknowledged: Kept = set()
        self.begun = threading.Event()

    def run(self) -> None:
        with suppress(MienError), Client(self._address, deadline=1) as client:
            for shot in range(100_000):
                self._note(client, shot)
                self.begun.set()

    def _note(self, client: Client, shot: int) -> None:
        subject = f"single-{self._number}-{shot}"
        picture = encoded(self._number, shot)
        sample = client.enroll("g", subject, picture, duplicates=SKIP).sample
        self.acknowledged.add((subject, sample.sample_id))


class Streamer(Writer):
    """The same by EnrollBatch, for as long as its stream is served."""

    def run(self) -> None:
        with suppress(grpc.RpcError), grpc.insecure_channel(self._address) as channel:
            asked = (EnrollBatchRequest(seq=n, item=item) for n, item in enumerate(self._items()))
            for answer in GalleryServiceStub(channel).EnrollBatch(asked):
                sample = answer.response.sample
                self.acknowledged.add((f"stream-{self._number}-{answer.seq}", sample.sample_id))
                self.begun.set()

    def _items(self) -> Iterator[EnrollSampleRequest]:
        for shot in range(100_000):
            picture = encoded(self._number, shot)
            yield enrolment("g", f"stream-{self._number}-{shot}", picture, duplicates=SKIP)


class Looker(threading.Thread):
    """Watches health: what it was told, until nobody tells it any more."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.told: list[int] = []

    def run(self) -> None:
        with grpc.insecure_channel(self._address) as channel, suppress(grpc.RpcError):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            for answer in stub.Watch(health_pb2.HealthCheckRequest()):
                self.told.append(answer.status)


@pytest.mark.parametrize("round_", range(2))
def test_nothing_that_was_acknowledged_is_lost(bundle: Bundle, tmp_path: Path, round_: int) -> None:
    data = tmp_path / "data"
    log = (tmp_path / "log").open("w")
    drain = ("--drain-seconds", str(DRAIN_SECONDS))
    with log, serving(bundle.folder, data, *drain, log=log) as server:
        with Client(server.address) as client:
            client.create_gallery("g")
        writers = [Writer(server.address, n) for n in range(WRITERS)]
        writers.append(Streamer(server.address, WRITERS))
        looker = Looker(server.address)
        for thread in (*writers, looker):
            thread.start()
        for writer in writers:
            assert writer.begun.wait(30)
        time.sleep(0.3 * round_)
        began = time.monotonic()
        assert server.terminate()[0] == 0
        assert time.monotonic() - began < DRAIN_SECONDS + AND_THEN_SECONDS
    for thread in (*writers, looker):
        thread.join(30)
        assert not thread.is_alive()
    serving_, draining = (
        health_pb2.HealthCheckResponse.SERVING,
        health_pb2.HealthCheckResponse.NOT_SERVING,
    )
    assert looker.told == [serving_, draining]
    acknowledged: Kept = set().union(*(writer.acknowledged for writer in writers))
    assert len(acknowledged) >= WRITERS + 1
    assert acknowledged <= kept_in(data)


def kept_in(data: Path) -> Kept:
    with Galleries(data) as galleries:
        assert galleries.check().findings == ()
        found: Kept = set()
        for subject in galleries.subjects("g", limit=100_000):
            held = galleries.get_subject("g", subject.subject_id)
            found |= {(held.subject_id, sample.sample_id) for sample in held.samples}
        return found
