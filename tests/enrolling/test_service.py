"""Over a server everything comes out as in a data directory."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mien.client import Client
from mien.enrolling import service as service_module
from mien.enrolling.items import Refusal, Said
from mien.enrolling.job import Job
from mien.enrolling.ledger import Ledger, Row
from mien.enrolling.options import Options
from mien.enrolling.service import Service
from mien.errors import ServerUnavailable, SubjectNotFound, UnsupportedOperatingPoint
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from tests.enrolling.made import FMR, GALLERY, Enrolling, altered, mixed, outcomes
from tests.faces import encoded, folder_of_people

REFUSING = Options(duplicates="refuse", misfits="refuse", fmr=FMR, sync=True)


@pytest.fixture
def address(bundle: Bundle, enrolling: Enrolling) -> Iterator[str]:
    with Server(Settings(bundle.folder, enrolling.data, port=0)) as server:
        where = f"127.0.0.1:{server.port}"
        with Client(where) as client:
            client.create_gallery(GALLERY)
        yield where


@pytest.fixture
def service(address: str) -> Iterator[Service]:
    with Client(address) as client:
        yield Service(client, GALLERY, Options())


NOTHING = Said()


def job(content: bytes, said: Said = NOTHING, subject: str = "anna") -> Job:
    return Job(Row("a.png", subject, subject), content, said, "a.png")


@pytest.mark.parametrize("options", [Options(fmr=FMR), REFUSING], ids=["report", "refuse"])
def test_the_same_becomes_of_each_picture(
    bundle: Bundle, address: str, enrolling: Enrolling, tmp_path: Path, options: Options
) -> None:
    source = mixed(tmp_path / "people")
    local = Enrolling(tmp_path / "local", bundle)
    for step in range(2):
        here, there = local.run(source, options), enrolling.serve(address, source, options)
        assert outcomes(there) == outcomes(here), step
        assert [bool(row.misfit) for row in there] == [bool(row.misfit) for row in here]
        altered(source) if step == 0 else None
    with Client(address) as client:
        for who in local.held():
            subject = client.get_subject(GALLERY, who)
            assert (
                subject.display_name,
                dict(subject.labels),
                subject.consent_ref,
                sorted((each.content_sha256, each.source, None) for each in subject.samples),
            ) == local.held()[who]
        assert client.get_gallery(GALLERY).subjects == len(local.held())


def test_one_face_under_two_names_is_refused_by_the_server(
    address: str, enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 3)
    (source / "someone").mkdir()
    (source / "someone" / "1.png").write_bytes(encoded(1, 9))
    options = Options(other_subject="refuse", fmr=FMR)
    row = enrolling.serve(address, source, options)[-1]
    assert row.refusal is not None
    assert row.refusal.reason == "DUPLICATE_OTHER_SUBJECT"


def test_a_rate_that_the_server_cannot_support_ends_the_run(
    address: str, enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    with pytest.raises(UnsupportedOperatingPoint):
        enrolling.serve(address, source, Options(other_subject="refuse", fmr=0.0001))
    assert set(outcomes(enrolling.serve(address, source)).values()) == {"enrolled"}


def test_a_validation_keeps_nothing(address: str, enrolling: Enrolling, tmp_path: Path) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    rows = enrolling.serve(address, source, Options(validate_only=True))
    assert {row.outcome for row in rows} == {"enrolled"}
    with Client(address) as client:
        assert client.get_gallery(GALLERY).samples == 0


def test_what_is_said_goes_to_the_server(service: Service, address: str) -> None:
    end = datetime(2090, 1, 1, tzinfo=UTC)
    said = Said("Anna", {"site": "oslo"}, "C1", end)
    ((_, answer),) = service.enroll(iter([job(encoded(1, 1), said)]))
    assert not isinstance(answer, Refusal)
    assert answer.sample.expire_time.ToDatetime(UTC) == end
    service.describe("anna", "Anna B.", {"site": "bergen"}, "C2")
    subject = service.subject("anna")
    assert subject is not None
    assert (subject.display_name, dict(subject.labels), subject.consent_ref) == (
        "Anna B.",
        {"site": "bergen"},
        "C2",
    )
    assert subject.samples[0].source == "a.png"
    service.delete([answer.sample.sample_id, "none"])
    assert service.subject("anna") is None
    with Client(address) as client, pytest.raises(SubjectNotFound):
        client.get_subject(GALLERY, "anna")


def test_a_refusal_has_its_reason(service: Service) -> None:
    ((_, answer),) = service.enroll(iter([job(b"no picture")]))
    assert isinstance(answer, Refusal)
    assert answer.reason == "IMAGE_UNDECODABLE"
    assert "are no JPEG" in answer.message


def test_what_fails_while_pictures_are_read_is_raised(service: Service) -> None:
    def jobs() -> Iterator[Job]:
        yield job(encoded(1, 1))
        raise ZeroDivisionError("unforeseen")

    with pytest.raises(ZeroDivisionError, match="unforeseen"):
        list(service.enroll(jobs()))


def test_a_server_that_is_away_is_waited_for_and_not_for_ever(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("mien.enrolling.service.time.sleep", waited.append)
    left = [3]

    def call() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise ServerUnavailable("away")
        return "answer"

    assert service_module._patiently(call) == "answer"
    assert len(waited) == 3
    left[0] = 10**6
    with pytest.raises(ServerUnavailable):
        service_module._patiently(call)
    assert 120 < sum(waited) < 600


def test_a_gallery_that_is_made_anew_begins_anew(
    address: str, enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    enrolling.serve(address, source)
    with Client(address) as client:
        client.delete_gallery(GALLERY)
        client.create_gallery(GALLERY)
    assert set(outcomes(enrolling.serve(address, source)).values()) == {"enrolled"}
    shutil.rmtree(source / "person-1")
    found = enrolling.serve(address, source, Options(sync=True))
    assert outcomes(found)["person-1/0.png"] == "NOT_IN_SOURCE"
    with Ledger(enrolling.ledger) as ledger:
        assert ledger.leaving(9) == []
