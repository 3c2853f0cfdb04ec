"""A stream's pictures are looked at on every core, and ahead of what is committed."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.client import enrolment
from mien.errors import DeadlineExceeded
from mien.gallery.galleries import Galleries
from mien.matching.decision import TargetFMR
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.server.enrol_stream import AT_ONCE, GROUP, EnrolStream
from mien.server.enroller import Enroller
from mien.server.probes import Probes
from mien.server.streams import Streams
from mien.v1.gallery_pb2 import EnrollBatchRequest
from mien.vision.faces import Detector, Face
from tests import bundles
from tests.server.test_faces import ONE, photo
from tests.server.waiting import WAIT_SECONDS, wait
from tests.vision.portraits import Patches


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.aligned(tmp_path_factory.mktemp("aligned") / "projection")


@pytest.fixture
def galleries(bundle: Bundle, tmp_path: Path) -> Iterator[Galleries]:
    with Galleries(tmp_path / "data") as opened:
        opened.create("people", bundle.manifest.fingerprint, bundle.manifest.input.dim)
        yield opened


class Caller:
    """What a stream asks of gRPC."""

    def __init__(self, seconds: float = math.inf) -> None:
        self.seconds = seconds

    def time_remaining(self) -> float:
        return self.seconds

    def is_active(self) -> bool:
        return True


class Stream:
    def __init__(
        self, bundle: Bundle, galleries: Galleries, detector: Detector, cores: int = 2
    ) -> None:
        pipeline = Pipeline(bundle, threads=1, detector=detector)
        self.enroller = Enroller(Probes(pipeline, galleries), galleries, TargetFMR(0.01))
        self._stream = EnrolStream(self.enroller, Streams(), cores)

    def answers(self, requests: Iterator[EnrollBatchRequest], caller: Caller | None = None) -> Any:
        return self._stream.answers(requests, cast(grpc.ServicerContext, caller or Caller()))


class Looking(Patches):
    """A detector that first does what it was given."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first = first

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        self._first()
        return super().detect(picture)


def requests(count: int, start: int = 0) -> Iterator[EnrollBatchRequest]:
    for seq in range(start, start + count):
        yield EnrollBatchRequest(
            seq=seq, item=enrolment("people", f"p-{seq}", photo(ONE, person=seq))
        )


def test_two_cores_look_at_pictures_at_the_same_time(bundle: Bundle, galleries: Galleries) -> None:
    both, here = threading.Barrier(2, timeout=WAIT_SECONDS), threading.local()

    def meet() -> None:
        if not hasattr(here, "met"):
            both.wait()
            here.met = True

    stream = Stream(bundle, galleries, Looking(meet))
    answers = list(stream.answers(requests(2 * AT_ONCE)))
    assert all(each.response.HasField("sample") for each in answers)


def test_the_next_group_is_looked_at_while_one_is_committed(
    bundle: Bundle, galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    seen = threading.Semaphore(0)

    def enroll(gallery_id: str, wanted: Any) -> Any:
        if not commits:
            for _ in range(len(wanted) + 1):  # its own pictures, and one of the next group
                assert seen.acquire(timeout=WAIT_SECONDS)
        commits.append(len(wanted))
        return kept(gallery_id, wanted)

    stream = Stream(bundle, galleries, Looking(seen.release))
    kept = stream.enroller.enroll
    monkeypatch.setattr(stream.enroller, "enroll", enroll)
    answers = list(stream.answers(requests(GROUP + 8)))
    assert [each.seq for each in answers] == list(range(GROUP + 8))
    assert len(commits) > 1
    assert all(0 <= each.durable_through_seq - each.seq < GROUP for each in answers)


def test_of_a_stream_that_is_left_nothing_more_is_looked_at(
    bundle: Bundle, galleries: Galleries
) -> None:
    looked: list[None] = []
    go = threading.Event()

    def look() -> None:
        looked.append(None)
        if len(looked) > 1:
            assert go.wait(WAIT_SECONDS)

    stream = Stream(bundle, galleries, Looking(look), cores=1)
    with _sent_one_first() as (some, more):
        answers = stream.answers(some)
        assert next(answers).seq == 0
        more.set()
        waiting = threading.Thread(target=next, args=(answers, None))
        waiting.start()
        wait(lambda: len(looked) == 2)
        go.set()
        waiting.join(WAIT_SECONDS)
        answers.close()
    count = len(looked)
    assert list(stream.answers(requests(1, start=GROUP)))
    assert len(looked) <= count + AT_ONCE + 1


@contextmanager
def _sent_one_first() -> Iterator[tuple[Iterator[EnrollBatchRequest], threading.Event]]:
    """A picture, and when told so, as many as a stream reads ahead."""
    more = threading.Event()

    def some() -> Iterator[EnrollBatchRequest]:
        yield from requests(1)
        assert more.wait(WAIT_SECONDS)
        yield from requests(2 * GROUP, start=1)

    try:
        yield some(), more
    finally:
        more.set()


def test_a_caller_who_waits_no_more_ends_the_stream(bundle: Bundle, galleries: Galleries) -> None:
    stream = Stream(bundle, galleries, Patches())
    with pytest.raises(DeadlineExceeded):
        list(stream.answers(requests(3), Caller(seconds=0)))
    assert galleries.get("people").samples == 0
