"""Groups of samples are read together, and answered in their order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mien import deadline
from mien.client import enrolment
from mien.deadline import Deadline
from mien.errors import DeadlineExceeded, MienError, QueueFull
from mien.gallery.galleries import Galleries
from mien.matching.decision import TargetFMR
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.server.enrolling.enroller import Enroller, Wanted
from mien.server.probes import Probes
from mien.v1.gallery_pb2 import EnrollSampleRequest
from mien.v1.probe_pb2 import MULTI_FACE_POLICY_LARGEST
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


@pytest.fixture
def enroller(bundle: Bundle, galleries: Galleries) -> Enroller:
    pipeline = Pipeline(bundle, threads=1, detector=Patches())
    return Enroller(Probes(pipeline, galleries), galleries, TargetFMR(0.01))


def requests(count: int) -> list[EnrollSampleRequest]:
    return [enrolment("people", f"p-{n}", photo(ONE, person=n)) for n in range(count)]


def test_a_group_is_read_as_its_samples_one_by_one(enroller: Enroller) -> None:
    group = requests(12)
    group[5] = enrolment("people", "several", photo(ONE, TWO))
    group[8] = enrolment("people", "largest", photo(ONE, TWO), multi_face=MULTI_FACE_POLICY_LARGEST)
    group[10] = enrolment("people", "no-picture", b"rubbish")
    group[11] = EnrollSampleRequest(gallery_id="people", subject_id="empty")

    def told(each: Wanted | MienError) -> object:
        if isinstance(each, MienError):
            return each.reason
        return each.item.subject_id, each.item.content_sha256, each.item.vector.tobytes()

    together = enroller.read(group)
    assert [told(each) for each in together] == [told(enroller.read([each])[0]) for each in group]
    wrong = {at: told(each) for at, each in enumerate(together) if isinstance(each, MienError)}
    assert wrong == {5: "MULTIPLE_FACES", 10: "IMAGE_UNDECODABLE", 11: "INVALID_REQUEST"}


def test_a_full_queue_and_a_passed_deadline_end_the_group(
    enroller: Enroller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deadline.kept(Deadline(at=0)), pytest.raises(DeadlineExceeded):
        enroller.read(requests(2))

    def full(*_: object) -> None:
        raise QueueFull("there is no room", 0.1)

    monkeypatch.setattr(Pipeline, "faces_each", full)
    with pytest.raises(QueueFull):
        enroller.read(requests(2))
