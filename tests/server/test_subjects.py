"""Subjects and what is said of galleries, over a real socket: every call, every refusal."""

from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from mien import errors
from mien.client import Client
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.v1 import gallery_pb2
from mien.v1.gallery_pb2_grpc import GalleryServiceStub
from mien.v1.probe_pb2 import SubjectRef
from tests.faces import encoded
from tests.server.sent import refusal

LATER = datetime(2100, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def refused(channel: grpc.Channel, method: str, request: object) -> str:
    """The reason for which a call is refused as INVALID_ARGUMENT."""
    with pytest.raises(grpc.RpcError) as caught:
        getattr(GalleryServiceStub(channel), method)(request)
    code, reason, _ = refusal(caught.value)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    return reason


def samples_of(client: Client, subject: str) -> list[str]:
    return [sample.sample_id for sample in client.get_subject("people", subject).samples]


class TestGalleries:
    def test_labels_and_retention_are_kept_as_they_were_given(self, client: Client) -> None:
        created = client.create_gallery(
            "g", labels={"site": "北"}, max_age=timedelta(days=30), since_last_match=timedelta(1)
        )
        assert created.labels == {"site": "北"}
        assert created.retention.max_age.ToTimedelta() == timedelta(days=30)
        assert created.retention.since_last_match.ToTimedelta() == timedelta(1)
        assert client.get_gallery("g") == created

    def test_an_update_replaces_what_it_names_and_nothing_else(self, client: Client) -> None:
        client.create_gallery("g", labels={"a": "1"}, max_age=timedelta(days=30))
        labelled = client.label_gallery("g", {"b": "2"})
        assert labelled.labels == {"b": "2"}
        assert labelled.retention.max_age.ToTimedelta() == timedelta(days=30)
        retained = client.retain("g", since_last_match=timedelta(days=2))
        assert retained.labels == {"b": "2"}
        assert not retained.retention.HasField("max_age")
        cleared = client.retain("g")
        assert not cleared.HasField("retention")
        assert cleared.revision == labelled.revision + 2
        assert not client.label_gallery("g", {}).labels

    @pytest.mark.parametrize("paths", [[], ["gallery_id"], ["labels", "nonsense"], ["*"]])
    def test_an_update_names_what_it_changes(
        self, channel: grpc.Channel, client: Client, paths: list[str]
    ) -> None:
        client.create_gallery("g", labels={"a": "1"})
        request = gallery_pb2.UpdateGalleryRequest(
            gallery=gallery_pb2.Gallery(gallery_id="g"), update_mask=FieldMask(paths=paths)
        )
        assert refused(channel, "UpdateGallery", request) == "INVALID_REQUEST"
        assert client.get_gallery("g").labels == {"a": "1"}

    @pytest.mark.parametrize("length", [Duration(), Duration(seconds=-1), Duration(seconds=10**15)])
    def test_a_retention_that_keeps_nobody_or_is_none_is_refused(
        self, channel: grpc.Channel, length: Duration
    ) -> None:
        retention = gallery_pb2.Retention(max_age=length)
        request = gallery_pb2.CreateGalleryRequest(gallery_id="g", retention=retention)
        assert refused(channel, "CreateGallery", request) == "INVALID_REQUEST"

    def test_what_may_not_be_said_of_a_gallery_is_refused(self, client: Client) -> None:
        with pytest.raises(errors.InvalidRequest, match="label name"):
            client.create_gallery("g", labels={"": "x"})
        with pytest.raises(errors.GalleryNotFound):
            client.label_gallery("g", {})
        with pytest.raises(errors.InvalidId):
            client.label_gallery("../g", {})

    def test_a_change_is_made_once_for_a_request_id(self, client: Client) -> None:
        first = client.create_gallery("g", request_id="r1")
        assert client.create_gallery("g", request_id="r1") == first
        with pytest.raises(errors.RequestIdReused):
            client.create_gallery("g", labels={"a": "b"}, request_id="r1")
        assert client.create_gallery("h", request_id="r1").gallery_id == "h"
        gone = client.delete_gallery("g", request_id="r2")
        assert client.delete_gallery("g", request_id="r2") == gone


class TestGetSubject:
    def test_everything_that_was_said_is_told(self, client: Client, gallery: str) -> None:
        client.enroll(
            gallery,
            "person-9",
            encoded(9, 0),
            display_name="Зоя",
            labels={"floor": "2"},
            consent_ref="file 7",
            source="door.png",
            expires=LATER,
        )
        subject = client.get_subject(gallery, "person-9")
        assert (subject.subject_id, subject.display_name) == ("person-9", "Зоя")
        assert (dict(subject.labels), subject.consent_ref) == ({"floor": "2"}, "file 7")
        assert not subject.HasField("expire_time")
        assert not subject.HasField("last_match_time")
        (sample,) = subject.samples
        assert sample.source == "door.png"
        assert sample.expire_time.ToDatetime(UTC) == LATER
        assert sample.create_time == subject.create_time

    def test_who_is_not_there_is_not_found(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.SubjectNotFound, match="did you mean 'person-1'"):
            client.get_subject(gallery, "persn-1")
        with pytest.raises(errors.GalleryNotFound):
            client.get_subject("nowhere", "person-1")
        with pytest.raises(errors.InvalidId):
            client.get_subject(gallery, "per son")


class TestListSubjects:
    def test_all_come_in_order_a_page_at_a_time(self, client: Client, gallery: str) -> None:
        found = list(client.subjects(gallery, page_size=2))
        assert [each.subject_id for each in found] == [f"person-{n}" for n in range(5)]
        assert not any(each.samples for each in found)

    def test_a_filter_asks_for_every_label(self, client: Client, gallery: str) -> None:
        client.update_subject(gallery, "person-1", labels={"a": "1", "b": "1"})
        client.update_subject(gallery, "person-2", labels={"a": "1"})

        def named(labels: dict[str, str]) -> list[str]:
            return [each.subject_id for each in client.subjects(gallery, labels)]

        assert named({"a": "1"}) == ["person-1", "person-2"]
        assert named({"a": "1", "b": "1"}) == ["person-1"]
        assert named({"a": "2"}) == []

    def test_what_cannot_be_listed_is_refused(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.InvalidRequest, match="1001 is more than 1000"):
            list(client.subjects(gallery, page_size=1001))
        with pytest.raises(errors.InvalidRequest, match="label name"):
            list(client.subjects(gallery, {"": ""}))
        with pytest.raises(errors.GalleryNotFound):
            list(client.subjects("nowhere"))

    def test_a_token_that_no_page_came_with_is_refused(
        self, channel: grpc.Channel, gallery: str
    ) -> None:
        request = gallery_pb2.ListSubjectsRequest(gallery_id=gallery, page_token="%")  # noqa: S106
        assert refused(channel, "ListSubjects", request) == "INVALID_REQUEST"


class TestUpdateSubject:
    def test_what_is_named_is_replaced_and_nothing_else(self, client: Client, gallery: str) -> None:
        client.update_subject(
            gallery, "person-1", display_name="Ann", labels={"a": "1"}, consent_ref="c"
        )
        changed = client.update_subject(gallery, "person-1", labels={"b": "2"}, expires=LATER)
        subject = changed.subject
        assert (subject.display_name, subject.consent_ref) == ("Ann", "c")
        assert dict(subject.labels) == {"b": "2"}
        assert subject.expire_time.ToDatetime(UTC) == LATER
        assert len(subject.samples) == 3
        assert changed.revision == client.get_gallery(gallery).revision

    def test_what_is_named_and_empty_is_cleared(self, client: Client, gallery: str) -> None:
        told = {"display_name": "Ann", "labels": {"a": "1"}, "consent_ref": "c"}
        client.update_subject(gallery, "person-1", expires=LATER, **told)  # type: ignore[arg-type]
        subject = client.update_subject(
            gallery, "person-1", display_name="", labels={}, consent_ref="", keep_for_ever=True
        ).subject
        present = {field.name for field, _ in subject.ListFields()}
        assert present == {"subject_id", "samples", "create_time"}

    @pytest.mark.parametrize("paths", [[], ["subject_id"], ["labels", "samples"], ["*"]])
    def test_only_what_may_change_is_named(
        self, channel: grpc.Channel, gallery: str, paths: list[str]
    ) -> None:
        request = gallery_pb2.UpdateSubjectRequest(
            gallery_id=gallery,
            subject=gallery_pb2.Subject(subject_id="person-1"),
            update_mask=FieldMask(paths=paths),
        )
        assert refused(channel, "UpdateSubject", request) == "INVALID_REQUEST"

    def test_a_time_that_is_none_is_refused(self, channel: grpc.Channel, gallery: str) -> None:
        for stamp in (Timestamp(seconds=10**12), Timestamp(nanos=-1)):
            request = gallery_pb2.UpdateSubjectRequest(
                gallery_id=gallery,
                subject=gallery_pb2.Subject(subject_id="person-1", expire_time=stamp),
                update_mask=FieldMask(paths=["expire_time"]),
            )
            assert refused(channel, "UpdateSubject", request) == "INVALID_REQUEST"

    def test_it_is_made_once_for_a_request_id(self, client: Client, gallery: str) -> None:
        first = client.update_subject(gallery, "person-1", display_name="A", request_id="r")
        assert client.update_subject(gallery, "person-1", display_name="A", request_id="r") == first
        with pytest.raises(errors.RequestIdReused):
            client.update_subject(gallery, "person-1", display_name="B", request_id="r")
        with pytest.raises(errors.InvalidRequest, match="request id"):
            client.update_subject(gallery, "person-1", display_name="B", request_id="r" * 129)

    def test_who_is_not_there_is_not_found(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.SubjectNotFound):
            client.update_subject(gallery, "nobody", display_name="A")
        with pytest.raises(errors.GalleryNotFound):
            client.update_subject("nowhere", "person-1", display_name="A")


class TestMergeSubjects:
    def test_one_takes_over_the_samples_of_the_others(self, client: Client, gallery: str) -> None:
        before = [*samples_of(client, "person-1"), *samples_of(client, "person-2")]
        merged = client.merge_subjects(gallery, "person-1", ["person-2"], request_id="r")
        assert sorted(each.sample_id for each in merged.subject.samples) == sorted(before)
        assert merged.revision == client.get_gallery(gallery).revision
        with pytest.raises(errors.SubjectNotFound):
            client.get_subject(gallery, "person-2")
        (face,) = client.identify(gallery, encoded(2, 9)).faces
        assert face.candidates[0].subject_id == "person-1"
        assert client.merge_subjects(gallery, "person-1", ["person-2"], request_id="r") == merged

    def test_what_cannot_be_merged_is_refused(self, client: Client, gallery: str) -> None:
        for others in ([], ["person-1"], ["person-2", "person-2"]):
            with pytest.raises(errors.InvalidRequest):
                client.merge_subjects(gallery, "person-1", others)
        with pytest.raises(errors.SubjectNotFound):
            client.merge_subjects(gallery, "person-1", ["nobody"])
        with pytest.raises(errors.InvalidId):
            client.merge_subjects(gallery, "person-1", ["no body"])
        with pytest.raises(errors.GalleryNotFound):
            client.merge_subjects("nowhere", "person-1", ["person-2"])
        assert client.get_gallery(gallery).subjects == 5


class TestDeletion:
    def test_single_samples_go_and_a_subject_with_its_last(
        self, client: Client, gallery: str
    ) -> None:
        first, *rest = samples_of(client, "person-1")
        receipt = client.delete_samples(gallery, [first, "0" * 32], request_id="r")
        assert (receipt.samples_deleted, list(receipt.not_found)) == (1, ["0" * 32])
        assert client.delete_samples(gallery, [first, "0" * 32], request_id="r") == receipt
        assert samples_of(client, "person-1") == rest
        assert client.delete_samples(gallery, rest).samples_deleted == 2
        with pytest.raises(errors.SubjectNotFound):
            client.get_subject(gallery, "person-1")

    def test_what_cannot_be_deleted_is_refused(self, client: Client, gallery: str) -> None:
        for samples in ([], ["0" * 32] * 10_001):
            with pytest.raises(errors.InvalidRequest, match="a call takes 1 to"):
                client.delete_samples(gallery, samples)
        with pytest.raises(errors.GalleryNotFound):
            client.delete_samples("nowhere", ["0" * 32])

    def test_a_missing_subject_may_be_allowed(self, client: Client, gallery: str) -> None:
        before = client.get_gallery(gallery)
        receipt = client.delete_subject(gallery, "nobody", allow_missing=True)
        assert (receipt.samples_deleted, list(receipt.not_found)) == (0, ["nobody"])
        assert receipt.revision == before.revision
        with pytest.raises(errors.SubjectNotFound):
            client.delete_subject(gallery, "nobody")

    def test_a_deletion_repeated_is_answered_as_the_first_time(
        self, client: Client, gallery: str
    ) -> None:
        first = client.delete_subject(gallery, "person-1", request_id="r")
        assert first.samples_deleted == 3
        assert client.delete_subject(gallery, "person-1", request_id="r") == first


class TestExportSubject:
    def test_everything_that_is_held_is_handed_out(
        self, client: Client, gallery: str, bundle: Bundle
    ) -> None:
        client.verify(SubjectRef(gallery_id=gallery, subject_id="person-1"), encoded(1, 9))
        held = client.export_subject(gallery, "person-1", include_embeddings=True)
        assert held.gallery_id == gallery
        assert held.model_fingerprint == bundle.manifest.fingerprint
        assert held.subject.last_match_time.seconds > 0
        assert held.subject.samples == client.get_subject(gallery, "person-1").samples
        assert [entry.method for entry in held.ledger] == ["enroll"] * 3
        assert held.subject.samples[0].sample_id in held.ledger[0].answer
        for shot, each in enumerate(held.embeddings):
            vector = Pipeline(bundle).embed(encoded(1, shot))
            np.testing.assert_allclose(np.frombuffer(each.f32le, "<f4"), vector, atol=1e-6)
        assert len(held.embeddings) == 3

    def test_vectors_come_only_if_asked_for(self, client: Client, gallery: str) -> None:
        assert not client.export_subject(gallery, "person-1").embeddings

    def test_who_is_not_there_is_not_found(self, client: Client, gallery: str) -> None:
        with pytest.raises(errors.SubjectNotFound):
            client.export_subject(gallery, "nobody")
        with pytest.raises(errors.GalleryNotFound):
            client.export_subject("nowhere", "person-1")
