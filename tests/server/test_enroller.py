"""Groups of pictures are looked at on every core, and answered in their order."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mien import deadline
from mien.client import enrolment
from mien.deadline import Deadline
from mien.errors import DeadlineExceeded, MienError, QueueFull
from mien.gallery.galleries import Galleries
from mien.matching.decision import TargetFMR
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.server.enroller import Enroller, Wanted
from mien.server.portions import AT_ONCE
from mien.server.probes import Probes
from mien.v1.gallery_pb2 import EnrollSampleRequest
from mien.v1.probe_pb2 import MULTI_FACE_POLICY_LARGEST
from mien.vision.faces import Detector, Face
from tests import bundles
from tests.server.test_faces import ONE, TWO, photo
from tests.vision.portraits import Patches


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.aligned(tmp_path_factory.mktemp("aligned") / "projection")


@pytest.fixture
def galleries(tmp_path: Path) -> Iterator[Galleries]:
    with Galleries(tmp_path / "data") as opened:
        yield opened


def enroller(
    bundle: Bundle, galleries: Galleries, cores: int, detector: Detector | None = None
) -> Enroller:
    pipeline = Pipeline(bundle, threads=1, detector=detector or Patches())
    return Enroller(Probes(pipeline, galleries), galleries, TargetFMR(0.01), cores)


class Meeting(Patches):
    """A detector whose threads look at a first picture only when another does, too."""

    def __init__(self) -> None:
        self.both = threading.Barrier(2, timeout=30)
        self._here = threading.local()

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        if not hasattr(self._here, "met"):
            self.both.wait()
            self._here.met = True
        return super().detect(picture)


def requests(count: int) -> list[EnrollSampleRequest]:
    return [enrolment("people", f"p-{n}", photo(ONE, person=n)) for n in range(count)]


def test_two_cores_look_at_pictures_at_the_same_time(bundle: Bundle, galleries: Galleries) -> None:
    found = enroller(bundle, galleries, 2, Meeting()).read(requests(2 * AT_ONCE))
    assert all(isinstance(each, Wanted) for each in found)


def test_a_group_is_read_as_its_samples_one_by_one(bundle: Bundle, galleries: Galleries) -> None:
    group = requests(3 * AT_ONCE)
    group[5] = enrolment("people", "several", photo(ONE, TWO))
    group[20] = enrolment(
        "people", "largest", photo(ONE, TWO), multi_face=MULTI_FACE_POLICY_LARGEST
    )
    group[33] = enrolment("people", "no-picture", b"rubbish")
    group[34] = EnrollSampleRequest(gallery_id="people", subject_id="empty")

    def told(each: Wanted | MienError) -> object:
        if isinstance(each, MienError):
            return each.reason
        return each.item.subject_id, each.item.content_sha256, each.item.vector.tobytes()

    together = enroller(bundle, galleries, 3).read(group)
    alone = enroller(bundle, galleries, 1)
    assert [told(each) for each in together] == [told(alone.read([each])[0]) for each in group]
    wrong = {at: told(each) for at, each in enumerate(together) if isinstance(each, MienError)}
    assert wrong == {5: "MULTIPLE_FACES", 33: "IMAGE_UNDECODABLE", 34: "INVALID_REQUEST"}


def test_a_full_queue_and_a_passed_deadline_end_the_group(
    bundle: Bundle, galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = enroller(bundle, galleries, 2)
    with deadline.kept(Deadline(at=0)), pytest.raises(DeadlineExceeded):
        reading.read(requests(2 * AT_ONCE))

    def full(*_: object) -> None:
        raise QueueFull("there is no room", 0.1)

    monkeypatch.setattr(Pipeline, "faces_each", full)
    with pytest.raises(QueueFull):
        reading.read(requests(2 * AT_ONCE))
