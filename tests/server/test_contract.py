"""Every call, with its success and each refusal that it can give, over a real socket."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mien import errors
from mien.client import Client
from mien.matching.decision import RawThreshold, TargetFMR, TargetFPIR, one_of
from mien.matching.fusion import Rule
from mien.model.bundle import Bundle, load
from mien.model.pipeline import Pipeline
from mien.model.sealing import calibrate
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1.probe_pb2 import SubjectRef
from mien.v1.reason_pb2 import REASON_IMAGE_TOO_LARGE, REASON_IMAGE_UNDECODABLE
from tests.bundles import DIM
from tests.faces import encoded
from tests.server.sent import broken, embedding


def with_rule(bundle: Bundle, rule: Rule, out: Path) -> Path:
    """A copy of a bundle as if `rule` were what its calibration preferred."""
    assert bundle.calibration
    copied = load(Path(shutil.copytree(bundle.folder, out)))
    calibrate(copied, bundle.calibration.model_copy(update={"fusion": rule}), card="")
    return out


class TestEmbed:
    def test_vectors_are_those_of_the_pipeline(self, client: Client, bundle: Bundle) -> None:
        response = client.embed([encoded(1, 0), encoded(2, 0)])
        assert [item.index for item in response.items] == [0, 1]
        vector = np.frombuffer(response.items[1].ok.embedding.f32le, "<f4")
        np.testing.assert_allclose(vector, Pipeline(bundle).embed(encoded(2, 0)), atol=1e-6)
        assert response.model_fingerprint == bundle.manifest.fingerprint

    def test_a_bad_picture_does_not_spoil_the_others(self, client: Client) -> None:
        items = client.embed([b"", encoded(1, 0), b"\0" * (11 * 2**20)]).items
        assert [item.WhichOneof("outcome") for item in items] == ["rejected", "ok", "rejected"]
        assert list(items[0].rejected.reasons) == [REASON_IMAGE_UNDECODABLE]
        assert list(items[2].rejected.reasons) == [REASON_IMAGE_TOO_LARGE]
        assert "empty" in items[0].rejected.message

    @pytest.mark.parametrize("count", [0, 65])
    def test_a_call_takes_1_to_64_pictures(self, client: Client, count: int) -> None:
        with pytest.raises(errors.InvalidRequest, match=f"{count} images"):
            client.embed([encoded(1, 0)] * count)


class TestVerify:
    def test_pictures_of_one_person_match_and_of_two_do_not(self, client: Client) -> None:
        same = client.verify(encoded(1, 0), encoded(1, 1))
        different = client.verify(encoded(1, 0), encoded(2, 0))
        assert same.match
        assert not different.match
        assert same.score.similarity > same.applied.threshold > different.score.similarity

    def test_the_answer_says_what_it_stands_for(self, client: Client, bundle: Bundle) -> None:
        response = client.verify(encoded(1, 0), encoded(1, 1), TargetFMR(0.02))
        assert bundle.calibration
        curve = bundle.calibration.pictures
        point, applied = curve.at_fmr(0.02), response.applied
        assert applied.threshold == np.float32(point.threshold)
        assert applied.fmr == point.fmr <= 0.02
        assert (applied.fmr_lower95, applied.fmr_upper95) == (point.fmr_lower95, point.fmr_upper95)
        assert applied.fnmr == point.fnmr
        assert applied.fnmr_lower95 == point.fnmr_lower95
        assert applied.fnmr_upper95 == point.fnmr_upper95
        assert applied.identities == 40
        assert applied.impostor_comparisons == curve.impostor_comparisons
        assert applied.calibration_id == bundle.calibration.calibration_id
        assert (applied.n, applied.samples_per_subject) == (1, 1)
        assert applied.fpir_at_n == pytest.approx(point.fmr)
        assert applied.fpir_lower95 == pytest.approx(point.fmr_lower95)
        assert applied.fpir_upper95 == pytest.approx(point.fmr_upper95)

    def test_the_score_says_what_it_is_worth(self, client: Client, bundle: Bundle) -> None:
        assert bundle.calibration
        curve = bundle.calibration.pictures
        same = client.verify(encoded(1, 0), encoded(1, 1)).score
        different = client.verify(encoded(1, 0), encoded(2, 0)).score
        for score in (same, different):
            assert score.expected_fmr == curve.at_threshold(score.similarity).fmr
            assert score.expected_fnmr == curve.fnmr_at(score.similarity)
            assert score.log10_lr == curve.at_threshold(score.similarity).log10_lr
        assert different.log10_lr < 0 < same.log10_lr

    def test_the_default_is_an_fmr_of_one_percent(self, client: Client) -> None:
        default = client.verify(encoded(1, 0), encoded(1, 1))
        assert default == client.verify(encoded(1, 0), encoded(1, 1), TargetFMR(0.01))

    def test_a_raw_threshold_decides_alone(self, client: Client) -> None:
        a, b = encoded(1, 0), encoded(1, 1)
        assert client.verify(a, b, RawThreshold(-1)).match
        assert not client.verify(a, b, RawThreshold(1)).match

    def test_pictures_vectors_and_subjects_give_the_same_answer(
        self, client: Client, bundle: Bundle, gallery: str
    ) -> None:
        picture = client.verify(encoded(1, 0), encoded(1, 7)).score.similarity
        vector = client.verify(embedding(client, 1), encoded(1, 7)).score.similarity
        assert vector == pytest.approx(picture, abs=1e-6)
        subject = SubjectRef(gallery_id=gallery, subject_id="person-1")
        each = [
            client.verify(encoded(1, shot), encoded(1, 7)).score.similarity for shot in range(3)
        ]
        assert bundle.calibration
        fused = max(each) if bundle.calibration.fusion == "max" else np.mean(each)
        found = client.verify(subject, encoded(1, 7))
        assert found.score.similarity == pytest.approx(fused, abs=1e-6)
        assert client.verify(encoded(1, 7), subject) == found

    def test_a_subject_is_decided_by_the_curve_of_its_samples(
        self, client: Client, bundle: Bundle, gallery: str
    ) -> None:
        subject = SubjectRef(gallery_id=gallery, subject_id="person-1")
        response = client.verify(subject, encoded(1, 7), TargetFMR(0.05))
        assert bundle.calibration
        curve = bundle.calibration.curve_for(3)
        assert response.applied.threshold == np.float32(curve.at_fmr(0.05).threshold)
        assert (response.applied.n, response.applied.samples_per_subject) == (1, curve.samples)
        assert response.applied.fpir_at_n == pytest.approx(curve.at_fmr(0.05).fmr)
        measured = curve.at_threshold(response.score.similarity)
        assert response.score.log10_lr == measured.log10_lr

    def test_every_sample_of_a_subject_that_is_the_probe_is_another_chance(
        self, client: Client, gallery: str
    ) -> None:
        one, other = (SubjectRef(gallery_id=gallery, subject_id=f"person-{p}") for p in (1, 2))
        alone = client.verify(encoded(1, 0), other, TargetFMR(0.05)).applied
        three = client.verify(one, other, TargetFMR(0.05)).applied
        assert (alone.n, three.n) == (1, 3)
        assert three.threshold > alone.threshold
        assert three.fpir_at_n <= 0.05

    def test_an_identical_picture_is_never_more_than_wholly_alike(self, client: Client) -> None:
        assert client.verify(encoded(1, 0), encoded(1, 0)).score.similarity <= 1

    @pytest.mark.parametrize("rate", [0, 1, -0.5, 7, float("nan")])
    def test_a_rate_out_of_range_is_refused(self, client: Client, rate: float) -> None:
        with pytest.raises(errors.InvalidRequest, match="an error rate is in"):
            client.verify(encoded(1, 0), encoded(1, 1), TargetFMR(rate))

    def test_a_rate_beyond_the_calibration_is_refused(self, client: Client) -> None:
        with pytest.raises(errors.UnsupportedOperatingPoint, match="more held-out identities"):
            client.verify(encoded(1, 0), encoded(1, 1), TargetFMR(1e-6))

    def test_a_picture_that_is_none_is_refused(self, client: Client) -> None:
        with pytest.raises(errors.ImageUndecodable):
            client.verify(encoded(1, 0), b"no picture")
        with pytest.raises(errors.ImageTooLarge):
            client.verify(encoded(1, 0), b"\0" * (11 * 2**20))

    def test_a_vector_of_another_model_is_refused(self, client: Client) -> None:
        foreign = broken(embedding(client, 1), model_fingerprint="f" * 64)
        with pytest.raises(errors.ModelMismatch, match="embed the picture again"):
            client.verify(foreign, encoded(1, 1))

    @pytest.mark.parametrize(
        "values",
        [
            np.full(DIM, np.nan),
            np.full(DIM, np.inf),
            np.zeros(DIM),
            np.ones(DIM),
            np.eye(DIM + 1)[0],
        ],
        ids=["nan", "infinite", "zero", "not of unit norm", "too long"],
    )
    def test_a_vector_that_is_none_is_refused(self, client: Client, values: np.ndarray) -> None:
        bad = broken(embedding(client, 1), f32le=values.astype("<f4").tobytes())
        with pytest.raises(errors.InvalidEmbedding):
            client.verify(bad, encoded(1, 1))

    def test_an_unknown_subject_or_gallery_is_refused(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.SubjectNotFound, match="did you mean 'person-1'"):
            client.verify(SubjectRef(gallery_id=gallery, subject_id="persn-1"), encoded(1, 0))
        with pytest.raises(errors.GalleryNotFound, match="did you mean 'people'"):
            client.verify(SubjectRef(gallery_id="peple", subject_id="person-1"), encoded(1, 0))


class TestIdentify:
    def test_the_right_person_comes_first(self, client: Client, gallery: str) -> None:
        for person in range(5):
            (face,) = client.identify(gallery, encoded(person, 9)).faces
            assert face.identified
            assert face.candidates[0].subject_id == f"person-{person}"
            assert [candidate.rank for candidate in face.candidates] == [1, 2, 3, 4, 5]
            similarities = [candidate.score.similarity for candidate in face.candidates]
            assert similarities == sorted(similarities, reverse=True)

    def test_a_stranger_is_nobody(self, client: Client, gallery: str) -> None:
        (face,) = client.identify(gallery, encoded(77, 0)).faces
        assert not face.identified
        assert not any(candidate.accepted for candidate in face.candidates)

    def test_the_threshold_follows_the_number_of_subjects(
        self, client: Client, gallery: str
    ) -> None:
        five = client.identify(gallery, encoded(1, 9), TargetFPIR(0.1)).applied
        for person in range(5, 20):
            for shot in range(3):
                client.enroll(gallery, f"person-{person}", encoded(person, shot))
        twenty = client.identify(gallery, encoded(1, 9), TargetFPIR(0.1)).applied
        assert (five.n, twenty.n) == (5, 20)
        assert five.samples_per_subject == twenty.samples_per_subject
        assert twenty.threshold > five.threshold
        assert max(five.fpir_at_n, twenty.fpir_at_n) <= 0.1

    def test_more_samples_of_a_subject_are_no_more_subjects(
        self, client: Client, bundle: Bundle, gallery: str
    ) -> None:
        for person in range(5):
            client.enroll(gallery, f"person-{person}", encoded(person, 3))
        applied = client.identify(gallery, encoded(1, 9), TargetFPIR(0.1)).applied
        assert bundle.calibration
        curve = bundle.calibration.curve_for(4)
        assert (applied.n, applied.samples_per_subject) == (5, 4)
        assert applied.threshold == np.float32(curve.at_fmr(one_of(0.1, 5)).threshold)

    @pytest.mark.parametrize("rule", ["max", "mean"])
    def test_candidates_are_as_alike_as_the_calibrated_rule_says(
        self, bundle: Bundle, tmp_path: Path, rule: Rule
    ) -> None:
        folder = with_rule(bundle, rule, tmp_path / "bundle")
        with (
            Server(Settings(folder, tmp_path / "data", port=0)) as server,
            Client(f"127.0.0.1:{server.port}") as client,
        ):
            client.create_gallery("g")
            for person in range(3):
                for shot in range(3):
                    client.enroll("g", f"person-{person}", encoded(person, shot))
            probe, by_hand = encoded(1, 9), RawThreshold(0)
            for candidate in client.identify("g", probe).faces[0].candidates:
                person = int(candidate.subject_id[-1])
                pictures = [encoded(person, shot) for shot in range(3)]
                each = [client.verify(p, probe, by_hand).score.similarity for p in pictures]
                fused = max(each) if rule == "max" else sum(each) / len(each)
                assert candidate.score.similarity == pytest.approx(fused, abs=1e-6)
                subject = SubjectRef(gallery_id="g", subject_id=candidate.subject_id)
                verified = client.verify(subject, probe, by_hand).score
                assert verified.similarity == pytest.approx(candidate.score.similarity, abs=1e-6)
            assert client.model().fusion == rule

    def test_no_more_candidates_than_asked_for(self, client: Client, gallery: str) -> None:
        assert len(client.identify(gallery, encoded(1, 9), candidates=2).faces[0].candidates) == 2
        with pytest.raises(errors.InvalidRequest, match="101 is more than 100"):
            client.identify(gallery, encoded(1, 9), candidates=101)

    def test_an_empty_gallery_has_nobody(self, client: Client) -> None:
        client.create_gallery("empty")
        (face,) = client.identify("empty", encoded(1, 0)).faces
        assert not face.identified
        assert not face.candidates

    def test_a_write_that_was_acknowledged_is_searched(self, client: Client, gallery: str) -> None:
        revision = client.enroll(gallery, "new", encoded(50, 0)).revision
        response = client.identify(gallery, encoded(50, 1))
        assert response.gallery_revision == revision
        assert response.faces[0].candidates[0].subject_id == "new"

    def test_what_cannot_be_searched_for_is_refused(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.ImageUndecodable):
            client.identify(gallery, b"")
        with pytest.raises(errors.GalleryNotFound):
            client.identify("nowhere", encoded(1, 0))
        with pytest.raises(errors.InvalidId):
            client.identify("../etc", encoded(1, 0))
        with pytest.raises(errors.UnsupportedOperatingPoint):
            client.identify(gallery, encoded(1, 0), TargetFPIR(1e-6))


class TestGalleries:
    def test_a_gallery_is_bound_to_the_served_model(self, client: Client, bundle: Bundle) -> None:
        created = client.create_gallery("g")
        assert created.model_fingerprint == bundle.manifest.fingerprint
        assert created.dim == DIM
        assert (created.subjects, created.samples) == (0, 0)
        assert created.create_time.seconds > 0
        assert client.get_gallery("g") == created

    def test_galleries_are_listed_a_page_at_a_time(self, client: Client) -> None:
        names = [f"g{number}" for number in range(7)]
        for name in reversed(names):
            client.create_gallery(name)
        assert [info.gallery_id for info in client.galleries(page_size=3)] == names

    def test_a_gallery_that_exists_is_not_created_again(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.GalleryExists, match="'people'"):
            client.create_gallery(gallery)
        assert client.get_gallery(gallery).samples == 15

    def test_a_deleted_gallery_is_gone(self, client: Client, gallery: str) -> None:
        assert client.delete_gallery(gallery).samples_deleted == 15
        for call in (client.get_gallery, client.delete_gallery):
            with pytest.raises(errors.GalleryNotFound):
                call(gallery)
        client.create_gallery(gallery)
        assert not client.identify(gallery, encoded(1, 0)).faces[0].candidates

    @pytest.mark.parametrize("bad", ["", ".hidden", "a/b", "ü", "x" * 129, "g\n", "-g"])
    def test_a_bad_id_is_refused(self, client: Client, bad: str) -> None:
        for call in (client.create_gallery, client.get_gallery, client.delete_gallery):
            with pytest.raises(errors.InvalidId):
                call(bad)


class TestEnrolment:
    def test_enrolling_again_changes_nothing(self, client: Client, gallery: str) -> None:
        first = client.enroll(gallery, "person-1", encoded(1, 8))
        again = client.enroll(gallery, "person-1", encoded(1, 8))
        assert not first.already_existed
        assert again.already_existed
        assert again.sample == first.sample
        assert again.revision == first.revision
        assert client.get_gallery(gallery).samples == 16

    def test_a_vector_is_enrolled_like_a_picture(self, client: Client, gallery: str) -> None:
        client.enroll(gallery, "by-vector", embedding(client, 60))
        (face,) = client.identify(gallery, encoded(60, 1)).faces
        assert face.candidates[0].subject_id == "by-vector"

    def test_a_refused_sample_changes_nothing(self, client: Client, gallery: str) -> None:
        before = client.get_gallery(gallery)
        with pytest.raises(errors.ImageUndecodable):
            client.enroll(gallery, "person-1", b"no picture")
        with pytest.raises(errors.InvalidId):
            client.enroll(gallery, "per son", encoded(1, 0))
        with pytest.raises(errors.GalleryNotFound):
            client.enroll("nowhere", "person-1", encoded(1, 0))
        foreign = broken(embedding(client, 1), model_fingerprint="f")
        with pytest.raises(errors.ModelMismatch):
            client.enroll(gallery, "person-1", foreign)
        with pytest.raises(errors.InvalidEmbedding):
            client.enroll(gallery, "person-1", broken(embedding(client, 1), dim=3))
        assert client.get_gallery(gallery) == before

    def test_a_deleted_subject_is_in_no_answer(self, client: Client, gallery: str) -> None:
        receipt = client.delete_subject(gallery, "person-1")
        assert receipt.samples_deleted == 3
        (face,) = client.identify(gallery, encoded(1, 0)).faces
        assert "person-1" not in [candidate.subject_id for candidate in face.candidates]
        assert client.get_gallery(gallery).revision == receipt.revision
        with pytest.raises(errors.SubjectNotFound):
            client.delete_subject(gallery, "person-1")


class TestModel:
    def test_the_model_is_described(self, client: Client, bundle: Bundle) -> None:
        model = client.model()
        assert model.model_id == bundle.manifest.name
        assert model.fingerprint == bundle.manifest.fingerprint
        assert (model.dim, model.crop_height, model.crop_width) == (DIM, 48, 48)
        assert model.calibrated
        assert bundle.calibration
        assert model.smallest_supported_fmr == bundle.calibration.smallest_supported_fmr
        assert model.smallest_supported_fmr == 3 / (40 * 39 / 2)
        assert model.calibration_identities == 40
        assert model.fusion == bundle.calibration.fusion

    def test_the_calibration_says_what_it_was_measured_on(
        self, client: Client, bundle: Bundle
    ) -> None:
        assert bundle.calibration
        told = client.calibration()
        assert told.dataset_digest == bundle.calibration.dataset_digest
        assert re.fullmatch("[0-9a-f]{64}", told.dataset_digest)
