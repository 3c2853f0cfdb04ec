"""What Identify and Verify can be asked beside who it is, over a real socket."""

from typing import Any

import grpc
import numpy as np
import pytest

from mien import errors
from mien.client import Client
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.v1 import embedding_pb2, match_pb2, model_pb2, probe_pb2
from mien.v1.embedding_pb2_grpc import EmbeddingServiceStub
from mien.v1.match_pb2_grpc import MatchServiceStub
from mien.v1.model_pb2_grpc import ModelServiceStub
from mien.v1.probe_pb2 import MULTI_FACE_POLICY_ALL, SubjectRef
from tests.faces import encoded
from tests.server.sent import embedding, refusal


def subject(number: int) -> SubjectRef:
    return SubjectRef(gallery_id="people", subject_id=f"person-{number}")


class TestLabels:
    def test_candidates_bear_their_labels(self, client: Client, gallery: str) -> None:
        client.update_subject(gallery, "person-1", labels={"floor": "2"})
        (face,) = client.identify(gallery, encoded(1, 9)).faces
        assert [dict(each.labels) for each in face.candidates] == [{"floor": "2"}, *[{}] * 4]

    def test_only_those_who_bear_every_label_are_searched_and_counted(
        self, client: Client, gallery: str
    ) -> None:
        client.update_subject(gallery, "person-1", labels={"a": "1"})
        client.update_subject(gallery, "person-2", labels={"a": "1", "b": "1"})
        response = client.identify(
            gallery, encoded(3, 9), RawThreshold(-1), labels={"a": "1"}, exact=True
        )
        found = {each.subject_id for each in response.faces[0].candidates}
        assert found == {"person-1", "person-2"}
        both = client.identify(gallery, encoded(3, 9), labels={"a": "1", "b": "1"})
        assert [each.subject_id for each in both.faces[0].candidates] == ["person-2"]
        nobody = client.identify(gallery, encoded(3, 9), labels={"a": "2"}, explain=True)
        assert not nobody.faces[0].candidates
        assert not nobody.faces[0].explanation.winning_sample_id

    def test_a_label_that_is_none_is_refused(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.InvalidRequest, match="label name"):
            client.identify(gallery, encoded(1, 0), labels={"": ""})


class TestRevision:
    def test_a_revision_that_was_reached_is_searched(self, client: Client, gallery: str) -> None:
        revision = client.get_gallery(gallery).revision
        response = client.identify(gallery, encoded(1, 0), min_revision=revision)
        assert response.gallery_revision == revision

    def test_a_gallery_that_is_behind_is_refused(
        self, client: Client, channel: grpc.Channel, gallery: str
    ) -> None:
        behind = client.get_gallery(gallery).revision + 1
        with pytest.raises(errors.RevisionNotReached, match=f"must have seen {behind}"):
            client.identify(gallery, encoded(1, 0), min_revision=behind)
        request = match_pb2.IdentifyRequest(gallery_id=gallery, min_revision=behind)
        request.probe.image.content = encoded(1, 0)
        with pytest.raises(grpc.RpcError) as caught:
            MatchServiceStub(channel).Identify(request)
        expected = (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_NOT_REACHED", "mien")
        assert refusal(caught.value) == expected


class TestMultiFace:
    def test_each_policy_is_one_where_the_picture_is_the_crop(
        self, client: Client, gallery: str
    ) -> None:
        answers = [
            client.identify(gallery, encoded(1, 9), multi_face=policy)
            for policy in probe_pb2.MultiFacePolicy.values()
        ]
        assert all(answer == answers[0] for answer in answers)

    def test_all_faces_are_for_identify_only(self, client: Client, gallery: str) -> None:
        calls = (
            lambda: client.embed([encoded(1, 0)], MULTI_FACE_POLICY_ALL),
            lambda: client.verify(encoded(1, 0), subject(1), multi_face=MULTI_FACE_POLICY_ALL),
        )
        for call in calls:
            with pytest.raises(errors.InvalidRequest, match="for Identify"):
                call()

    def test_a_policy_that_nobody_knows_is_refused(
        self, channel: grpc.Channel, gallery: str
    ) -> None:
        picture = probe_pb2.Image(content=encoded(1, 0))
        probe = probe_pb2.Probe(image=picture)
        embeds, matches = EmbeddingServiceStub(channel), MatchServiceStub(channel)
        embed = embedding_pb2.EmbedRequest(images=[picture])
        verify = embedding_pb2.VerifyRequest(a=probe, b=probe)
        identify = match_pb2.IdentifyRequest(gallery_id=gallery, probe=probe)
        calls: list[tuple[Any, Any]] = [
            (embeds.Embed, embed),
            (embeds.Verify, verify),
            (matches.Identify, identify),
        ]
        for call, request in calls:
            request.multi_face = 9
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert refusal(caught.value)[1] == "INVALID_REQUEST"

    def test_a_target_is_what_is_wrong_with_one_picture_of_several(
        self, channel: grpc.Channel
    ) -> None:
        plain = probe_pb2.Image(content=encoded(1, 0))
        targeted = probe_pb2.Image(content=encoded(1, 0), target=probe_pb2.Box(width=1, height=1))
        request = embedding_pb2.EmbedRequest(images=[targeted, plain])
        items = EmbeddingServiceStub(channel).Embed(request).items
        assert [item.WhichOneof("outcome") for item in items] == ["rejected", "ok"]


class TestExplain:
    def test_a_search_tells_the_winning_sample_and_the_next_subject(
        self, client: Client, bundle: Bundle, gallery: str
    ) -> None:
        response = client.identify(gallery, encoded(1, 9), explain=True)
        (face,) = response.faces
        best, second = face.candidates[:2]
        told = face.explanation
        pipeline = Pipeline(bundle)
        probe = pipeline.embed(encoded(1, 9))
        alone = [float(pipeline.embed(encoded(1, shot)) @ probe) for shot in range(3)]
        samples = client.get_subject(gallery, "person-1").samples
        assert told.winning_sample_id == samples[int(np.argmax(alone))].sample_id
        assert told.winning_similarity == pytest.approx(max(alone), abs=1e-5)
        assert told.nearest_other_subject_id == second.subject_id
        margin = best.score.similarity - second.score.similarity
        assert told.margin == pytest.approx(margin, abs=1e-6)
        above = best.score.similarity - response.applied.threshold
        assert told.above_threshold == pytest.approx(above, abs=1e-6)

    def test_the_next_subject_is_told_though_one_candidate_is_wanted(
        self, client: Client, gallery: str
    ) -> None:
        (face,) = client.identify(gallery, encoded(1, 9), candidates=1, explain=True).faces
        assert len(face.candidates) == 1
        assert face.explanation.nearest_other_subject_id

    def test_a_lone_subject_has_no_other(self, client: Client) -> None:
        client.create_gallery("g")
        client.enroll("g", "only", encoded(1, 0))
        told = client.identify("g", encoded(1, 1), explain=True).faces[0].explanation
        assert told.nearest_other_subject_id == ""
        assert not told.HasField("margin")

    def test_nothing_is_explained_unasked(self, client: Client, gallery: str) -> None:
        assert not client.identify(gallery, encoded(1, 9)).faces[0].HasField("explanation")
        assert not client.verify(encoded(1, 0), encoded(1, 1)).HasField("explanation")

    def test_a_comparison_with_a_subject_tells_who_else_it_may_be(
        self, client: Client, gallery: str
    ) -> None:
        found = client.identify(gallery, encoded(1, 9), explain=True).faces[0]
        for a, b in ((encoded(1, 9), subject(1)), (subject(1), encoded(1, 9))):
            response = client.verify(a, b, explain=True)
            told = response.explanation
            assert told.winning_sample_id == found.explanation.winning_sample_id
            assert told.nearest_other_subject_id == found.explanation.nearest_other_subject_id
            assert told.margin == pytest.approx(found.explanation.margin, abs=1e-6)
            above = response.score.similarity - response.applied.threshold
            assert told.above_threshold == pytest.approx(above, abs=1e-6)

    def test_of_two_subjects_neither_is_the_other(self, client: Client, gallery: str) -> None:
        told = client.verify(subject(1), subject(2), RawThreshold(0), explain=True).explanation
        assert told.nearest_other_subject_id in {"person-0", "person-3", "person-4"}
        second = {sample.sample_id for sample in client.get_subject(gallery, "person-2").samples}
        assert told.winning_sample_id in second

    def test_of_two_pictures_only_the_threshold_is_told(self, client: Client) -> None:
        response = client.verify(encoded(1, 0), embedding(client, 1, 1), explain=True)
        assert {field.name for field, _ in response.explanation.ListFields()} == {"above_threshold"}


class TestCalibration:
    def test_thresholds_are_told_with_the_rates_that_were_measured(
        self, client: Client, bundle: Bundle
    ) -> None:
        assert bundle.calibration
        told, curve = client.calibration(), bundle.calibration.pictures
        assert told.calibration_id == bundle.calibration.calibration_id
        assert told.model_fingerprint == bundle.manifest.fingerprint
        assert told.identities == 40
        assert told.impostor_comparisons == curve.impostor_comparisons
        assert told.genuine_comparisons == curve.genuine_comparisons
        assert told.smallest_supported_fmr == curve.smallest_supported_fmr
        assert (told.samples_per_subject, told.fusion) == (1, bundle.calibration.fusion)
        rates = [point.fmr for point in told.points]
        assert rates == sorted(rates, reverse=True)
        assert all(rate >= told.smallest_supported_fmr for rate in rates)
        for point in told.points:
            measured = curve.at_threshold(point.threshold + 1e-6)
            assert (point.fmr, point.fnmr) == (measured.fmr, measured.fnmr)
            assert point.fmr_lower95 <= point.fmr <= point.fmr_upper95
            assert point.fnmr_lower95 <= point.fnmr <= point.fnmr_upper95

    def test_more_samples_are_answered_by_a_curve_that_does_not_understate(
        self, client: Client, bundle: Bundle
    ) -> None:
        assert bundle.calibration
        for samples in (2, 3, 100):
            curve = bundle.calibration.curve_for(samples)
            assert client.calibration(samples).samples_per_subject == curve.samples

    def test_another_calibration_is_not_found(self, channel: grpc.Channel) -> None:
        request = model_pb2.GetCalibrationRequest(calibration_id="other")
        with pytest.raises(grpc.RpcError) as caught:
            ModelServiceStub(channel).GetCalibration(request)
        expected = (grpc.StatusCode.NOT_FOUND, "CALIBRATION_NOT_FOUND", "mien")
        assert refusal(caught.value) == expected
