"""A stream's pictures are looked at on every core, and ahead of what is committed."""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
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
from mien.server.enrolling.enroller import Enroller
from mien.server.enrolling.stream import AT_ONCE, GROUP, EnrolStream
from mien.server.probes import Probes
from mien.server.streams import Streams
from mien.v1.gallery_pb2 import EnrollBatchRequest
from mien.v1.probe_pb2 import Embedding
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


class Counted:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def readers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "mien-reader"]


def vectors(bundle: Bundle, count: int, start: int = 0) -> Iterator[EnrollBatchRequest]:
    manifest = bundle.manifest
    for seq in range(start, start + count):
        vector = np.eye(manifest.input.dim, dtype="<f4")[seq % manifest.input.dim]
        embedding = Embedding(
            model_fingerprint=manifest.fingerprint, f32le=vector.tobytes(), dim=len(vector)
        )
        yield EnrollBatchRequest(seq=seq, item=enrolment("people", f"p-{seq}", embedding))


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
    looked = Counted()
    commits: list[int] = []

    def enrol(gallery_id: str, items: Any, **how: Any) -> Any:
        if items and not commits:
            wait(lambda: looked.count > GROUP)  # more than the first group can be of
        commits.append(len(items))
        return kept(gallery_id, items, **how)

    stream = Stream(bundle, galleries, Looking(looked))
    kept = galleries._store.enrol
    monkeypatch.setattr(galleries._store, "enrol", enrol)
    answers = list(stream.answers(requests(GROUP + 8)))
    assert [each.seq for each in answers] == list(range(GROUP + 8))
    assert len([count for count in commits if count]) > 1
    assert all(0 <= each.durable_through_seq - each.seq < GROUP for each in answers)


def test_of_a_stream_that_is_left_nothing_more_is_looked_at(
    bundle: Bundle, galleries: Galleries
) -> None:
    looked = Counted()
    stream = Stream(bundle, galleries, Looking(looked), cores=1)
    answers = stream.answers(requests(2 * GROUP))
    assert next(answers).seq == 0
    answers.close()
    wait(lambda: not readers())
    assert looked.count < GROUP


def test_vectors_do_not_wait_for_the_pictures_of_others(
    bundle: Bundle, galleries: Galleries
) -> None:
    going = threading.Event()
    stream = Stream(bundle, galleries, Looking(lambda: going.wait(WAIT_SECONDS)), cores=1)
    with ThreadPoolExecutor(2) as callers:
        pictures = callers.submit(list, stream.answers(requests(1)))
        wait(lambda: bool(readers()))
        try:
            assert len(list(stream.answers(vectors(bundle, 3)))) == 3
            assert not pictures.done()
            late = callers.submit(list, stream.answers(requests(1), Caller(seconds=0.1)))
            with pytest.raises(DeadlineExceeded):
                late.result(WAIT_SECONDS)
        finally:
            going.set()
        assert len(pictures.result(WAIT_SECONDS)) == 1


def test_pictures_may_follow_vectors(bundle: Bundle, galleries: Galleries) -> None:
    stream = Stream(bundle, galleries, Patches())
    mixed = chain(vectors(bundle, 3), requests(20, start=3), vectors(bundle, 3, start=23))
    answers = list(stream.answers(mixed))
    assert [each.seq for each in answers] == list(range(26))
    assert all(each.response.HasField("sample") for each in answers)


def test_a_caller_who_waits_no_more_ends_the_stream(bundle: Bundle, galleries: Galleries) -> None:
    stream = Stream(bundle, galleries, Patches())
    with pytest.raises(DeadlineExceeded):
        list(stream.answers(requests(3), Caller(seconds=0)))
    assert galleries.get("people").samples == 0
