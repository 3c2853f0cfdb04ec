"""EnrollSample with all of its fields, over a real socket."""

import hashlib
from pathlib import Path

import grpc
import pytest

from mien import errors
from mien.client import Client
from mien.matching.decision import TargetFMR
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import gallery_pb2, probe_pb2
from mien.v1.gallery_pb2 import (
    DUPLICATE_POLICY_REJECT_OTHER_SUBJECT,
    DUPLICATE_POLICY_SKIP_IDENTICAL,
    DUPLICATE_POLICY_WARN_OTHER_SUBJECT,
)
from mien.v1.gallery_pb2_grpc import GalleryServiceStub
from mien.v1.probe_pb2 import MULTI_FACE_POLICY_ALL, MULTI_FACE_POLICY_LARGEST
from tests import bundles
from tests.faces import encoded
from tests.server.sent import embedding, refusal


def test_the_hash_is_of_the_bytes_that_were_sent(client: Client, gallery: str) -> None:
    picture, vector = encoded(1, 5), embedding(client, 1, 6)
    of_picture = client.enroll(gallery, "person-1", picture).sample
    of_vector = client.enroll(gallery, "person-1", vector).sample
    assert of_picture.content_sha256 == hashlib.sha256(picture).hexdigest()
    assert of_vector.content_sha256 == hashlib.sha256(vector.f32le).hexdigest()


def test_a_repeated_request_is_answered_as_the_first_time(client: Client, gallery: str) -> None:
    first = client.enroll(gallery, "person-1", encoded(1, 8), request_id="r")
    assert client.enroll(gallery, "person-1", encoded(1, 8), request_id="r") == first
    with pytest.raises(errors.RequestIdReused):
        client.enroll(gallery, "person-1", encoded(1, 9), request_id="r")


def test_what_is_only_validated_is_not_kept(client: Client, gallery: str) -> None:
    before = client.get_gallery(gallery)
    answer = client.enroll(gallery, "new", encoded(60, 0), validate_only=True)
    assert answer.sample.sample_id == ""
    assert answer.sample.content_sha256
    assert not answer.already_existed
    assert client.get_gallery(gallery) == before
    known = client.enroll(gallery, "person-1", encoded(1, 0), validate_only=True)
    assert known.already_existed
    assert known.sample.sample_id
    with pytest.raises(errors.ImageUndecodable):
        client.enroll(gallery, "new", b"no picture", validate_only=True)


def test_what_is_said_of_a_subject_adds_up(client: Client, gallery: str) -> None:
    client.enroll(gallery, "s", encoded(61, 0), display_name="A", labels={"a": "1"})
    client.enroll(gallery, "s", encoded(61, 1), labels={"b": "2"}, consent_ref="c")
    subject = client.get_subject(gallery, "s")
    assert (subject.display_name, subject.consent_ref) == ("A", "c")
    assert dict(subject.labels) == {"a": "1", "b": "2"}


class TestDuplicates:
    def test_a_face_that_is_known_under_another_name_is_told(
        self, client: Client, gallery: str
    ) -> None:
        client.update_subject(gallery, "person-1", labels={"floor": "2"})
        answer = client.enroll(gallery, "somebody", encoded(1, 9))
        (near,) = answer.near_subjects
        assert (near.rank, near.subject_id, near.accepted) == (1, "person-1", True)
        assert near.labels == {"floor": "2"}
        assert near.sample_id
        assert answer.sample.sample_id

    def test_their_threshold_is_the_calibrated_one(
        self, client: Client, bundle: Bundle, gallery: str
    ) -> None:
        assert bundle.calibration
        curve = bundle.calibration.curve_for(3)
        everybody = client.enroll(gallery, "somebody", encoded(70, 0), duplicate_fmr=0.9)
        threshold = curve.at_fmr(0.9).threshold
        assert everybody.near_subjects
        assert all(each.score.similarity >= threshold for each in everybody.near_subjects)
        assert not client.enroll(gallery, "somebody", encoded(70, 1)).near_subjects
        similarities = [each.score.similarity for each in everybody.near_subjects]
        assert similarities == sorted(similarities, reverse=True)

    def test_the_subject_itself_is_no_duplicate(self, client: Client, gallery: str) -> None:
        assert not client.enroll(gallery, "person-1", encoded(1, 9)).near_subjects

    def test_nobody_is_looked_for_where_only_identical_content_is_skipped(
        self, client: Client, gallery: str
    ) -> None:
        answer = client.enroll(
            gallery, "somebody", encoded(1, 9), duplicates=DUPLICATE_POLICY_SKIP_IDENTICAL
        )
        assert not answer.near_subjects

    def test_such_a_face_is_refused_if_asked(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.DuplicateOtherSubject, match="'person-1'"):
            client.enroll(
                gallery, "somebody", encoded(1, 9), duplicates=DUPLICATE_POLICY_REJECT_OTHER_SUBJECT
            )
        assert client.get_gallery(gallery).samples == 15

    def test_what_was_enrolled_already_is_not_refused_afterwards(
        self, client: Client, gallery: str
    ) -> None:
        first = client.enroll(gallery, "s", encoded(62, 0), request_id="r")
        client.enroll(gallery, "t", encoded(62, 0))
        policy = DUPLICATE_POLICY_REJECT_OTHER_SUBJECT
        again = client.enroll(gallery, "s", encoded(62, 0), duplicates=policy)
        assert again.already_existed
        assert again.sample == first.sample
        with pytest.raises(errors.DuplicateOtherSubject):
            client.enroll(gallery, "s", embedding(client, 62), duplicates=policy)

    @pytest.mark.parametrize("rate", [-0.1, 1, 2, float("nan")])
    def test_a_rate_out_of_range_is_refused(
        self, client: Client, gallery: str, rate: float
    ) -> None:
        with pytest.raises(errors.InvalidRequest, match="duplicate_fmr"):
            client.enroll(gallery, "s", encoded(1, 0), duplicate_fmr=rate)

    def test_a_rate_beyond_the_calibration_is_refused(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.UnsupportedOperatingPoint):
            client.enroll(gallery, "s", encoded(1, 0), duplicate_fmr=1e-9)

    def test_a_default_rate_that_is_not_supported_lets_everybody_in(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        settings = Settings(bundle.folder, tmp_path / "data", port=0, default_target_fmr=1e-9)
        with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client:
            client.create_gallery("g")
            client.enroll("g", "a", encoded(1, 0))
            assert not client.enroll("g", "b", encoded(1, 1)).near_subjects
            with pytest.raises(errors.UnsupportedOperatingPoint):
                client.enroll(
                    "g", "c", encoded(1, 2), duplicates=DUPLICATE_POLICY_WARN_OTHER_SUBJECT
                )

    def test_without_a_calibration_only_identical_content_is_known(self, tmp_path: Path) -> None:
        folder = bundles.uncalibrated(tmp_path / "bundle").folder
        settings = Settings(folder, tmp_path / "data", port=0)
        with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client:
            client.create_gallery("g")
            client.enroll("g", "a", encoded(1, 0))
            assert not client.enroll("g", "b", encoded(1, 1)).near_subjects
            with pytest.raises(errors.NotCalibrated):
                client.enroll(
                    "g", "b", encoded(1, 1), duplicates=DUPLICATE_POLICY_REJECT_OTHER_SUBJECT
                )


class TestRefusals:
    def request(self, **fields: object) -> gallery_pb2.EnrollSampleRequest:
        picture = probe_pb2.Image(content=encoded(1, 0))
        return gallery_pb2.EnrollSampleRequest(
            **{"gallery_id": "people", "subject_id": "s", "image": picture} | fields  # type: ignore[arg-type]
        )

    @pytest.mark.parametrize(
        "fields",
        [
            {"image": None},
            {"multi_face": MULTI_FACE_POLICY_ALL},
            {"multi_face": 9},
            {"duplicates": 9},
            {"expire_time": {"seconds": 10**12}},
            {"labels": {"": "x"}},
            {"labels": {"a": "x" * 257}},
            {"display_name": "x" * 1025},
            {"consent_ref": "\0"},
            {"request_id": "r" * 129},
        ],
        ids=str,
    )
    def test_a_field_out_of_range_is_refused(
        self, channel: grpc.Channel, client: Client, gallery: str, fields: dict[str, object]
    ) -> None:
        before = client.get_gallery(gallery)
        with pytest.raises(grpc.RpcError) as caught:
            GalleryServiceStub(channel).EnrollSample(self.request(**fields))
        assert refusal(caught.value)[1] == "INVALID_REQUEST"
        assert client.get_gallery(gallery) == before

    def test_a_target_within_a_picture_that_is_the_crop_is_refused(
        self, channel: grpc.Channel, gallery: str
    ) -> None:
        image = probe_pb2.Image(content=encoded(1, 0), target=probe_pb2.Box(width=1, height=1))
        with pytest.raises(grpc.RpcError, match="the picture is the crop"):
            GalleryServiceStub(channel).EnrollSample(self.request(image=image))

    def test_where_the_picture_is_the_crop_the_largest_face_is_the_only_one(
        self, client: Client, gallery: str
    ) -> None:
        largest = client.enroll(
            gallery, "person-1", encoded(1, 0), multi_face=MULTI_FACE_POLICY_LARGEST
        )
        assert largest.already_existed


def test_two_callers_cannot_enrol_one_face_under_two_names(client: Client) -> None:
    """Looking for others and enrolling are one step."""
    from concurrent.futures import ThreadPoolExecutor

    client.create_gallery("g")
    vectors = client.embed([encoded(80, shot) for shot in range(16)]).items
    threshold = client.verify(encoded(80, 0), encoded(80, 1), TargetFMR(0.05)).applied.threshold
    assert threshold < 1

    def enrol(number: int) -> bool:
        try:
            client.enroll(
                "g",
                f"name-{number}",
                vectors[number].ok.embedding,
                duplicates=DUPLICATE_POLICY_REJECT_OTHER_SUBJECT,
                duplicate_fmr=0.9,
            )
        except errors.DuplicateOtherSubject:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(enrol, range(16))) == 1
    assert client.get_gallery("g").subjects == 1
