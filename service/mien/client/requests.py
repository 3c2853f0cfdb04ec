"""What a caller says, as messages of the contract."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from mien.matching.decision import Policy, RawThreshold, TargetFMR
from mien.v1 import (
    decision_pb2,
    embedding_pb2,
    gallery_pb2,
    match_pb2,
    model_pb2,
    probe_pb2,
)

Picture: TypeAlias = bytes | probe_pb2.Image
"""A picture's bytes, or with what is said of it (`picture`)."""
Probe: TypeAlias = Picture | probe_pb2.Embedding | probe_pb2.SubjectRef
"""A picture, a vector that the served model made, or somebody who is enrolled."""

MultiFace: TypeAlias = "probe_pb2.MultiFacePolicy.ValueType"
Duplicates: TypeAlias = "gallery_pb2.DuplicatePolicy.ValueType"
Labels: TypeAlias = Mapping[str, str] | None

_MULTI_FACE = probe_pb2.MULTI_FACE_POLICY_UNSPECIFIED
_DUPLICATES = gallery_pb2.DUPLICATE_POLICY_UNSPECIFIED


def picture(
    content: bytes, target: tuple[float, float, float, float] | None = None
) -> probe_pb2.Image:
    """A picture and where its face is: left, top, width and height, in shares of the picture."""
    image = probe_pb2.Image(content=content)
    if target is not None:
        left, top, width, height = target
        image.target.CopyFrom(probe_pb2.Box(left=left, top=top, width=width, height=height))
    return image


def embed(
    pictures: Sequence[Picture], multi_face: MultiFace = _MULTI_FACE
) -> embedding_pb2.EmbedRequest:
    """Vectors of 1 to 64 pictures; each has its own outcome."""
    images = [_image(each) for each in pictures]
    return embedding_pb2.EmbedRequest(images=images, multi_face=multi_face)


def embed_item(
    tag: str, picture: Picture, multi_face: MultiFace = _MULTI_FACE
) -> embedding_pb2.EmbedStreamRequest:
    """One picture of a stream."""
    return embedding_pb2.EmbedStreamRequest(tag=tag, image=_image(picture), multi_face=multi_face)


def verify(
    a: Probe,
    b: Probe,
    policy: TargetFMR | RawThreshold | None = None,
    *,
    multi_face: MultiFace = _MULTI_FACE,
    explain: bool = False,
) -> embedding_pb2.VerifyRequest:
    """Are these two the same? Without a policy the server's default FMR decides."""
    return embedding_pb2.VerifyRequest(
        a=_probe(a), b=_probe(b), decision=_policy(policy), multi_face=multi_face, explain=explain
    )


def identify(  # noqa: PLR0913 - what a search has
    gallery: str,
    probe: Probe,
    policy: Policy | None = None,
    candidates: int = 5,
    *,
    labels: Labels = None,
    multi_face: MultiFace = _MULTI_FACE,
    exact: bool = False,
    min_revision: int | None = None,
    explain: bool = False,
) -> match_pb2.IdentifyRequest:
    """Who in the gallery is this? Without a policy the server's default FPIR decides."""
    return match_pb2.IdentifyRequest(
        gallery_id=gallery,
        probe=_probe(probe),
        max_candidates=candidates,
        decision=_policy(policy),
        label_filter=labels,
        multi_face=multi_face,
        exact=exact,
        min_revision=min_revision,
        explain=explain,
    )


def create_gallery(
    gallery: str,
    *,
    labels: Labels = None,
    max_age: timedelta | None = None,
    since_last_match: timedelta | None = None,
    request_id: str = "",
) -> gallery_pb2.CreateGalleryRequest:
    """An empty gallery, bound to the model that is served."""
    return gallery_pb2.CreateGalleryRequest(
        gallery_id=gallery,
        labels=labels,
        retention=_retention(max_age, since_last_match),
        request_id=_own(request_id),
    )


def get_gallery(gallery: str) -> gallery_pb2.GetGalleryRequest:
    """One gallery with its counts."""
    return gallery_pb2.GetGalleryRequest(gallery_id=gallery)


def list_galleries(page_size: int = 100) -> gallery_pb2.ListGalleriesRequest:
    """Every gallery in order of id, fetched a page at a time."""
    return gallery_pb2.ListGalleriesRequest(page_size=page_size)


def label_gallery(
    gallery: str, labels: Mapping[str, str], *, request_id: str = ""
) -> gallery_pb2.UpdateGalleryRequest:
    """Replace a gallery's labels."""
    return gallery_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(gallery_id=gallery, labels=labels),
        update_mask=FieldMask(paths=["labels"]),
        request_id=_own(request_id),
    )


def retain(
    gallery: str,
    *,
    max_age: timedelta | None = None,
    since_last_match: timedelta | None = None,
    request_id: str = "",
) -> gallery_pb2.UpdateGalleryRequest:
    """Replace how long a gallery keeps people; what is None is for ever."""
    retention = _retention(max_age, since_last_match)
    return gallery_pb2.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(gallery_id=gallery, retention=retention),
        update_mask=FieldMask(paths=["retention"]),
        request_id=_own(request_id),
    )


def delete_gallery(gallery: str, *, request_id: str = "") -> gallery_pb2.DeleteGalleryRequest:
    """Forget a gallery with everybody in it."""
    return gallery_pb2.DeleteGalleryRequest(gallery_id=gallery, request_id=_own(request_id))


def enrolment(  # noqa: PLR0913 - what a sample is made of
    gallery: str,
    subject: str,
    sample: Picture | probe_pb2.Embedding,
    *,
    display_name: str = "",
    labels: Labels = None,
    consent_ref: str = "",
    source: str = "",
    expires: datetime | None = None,
    duplicates: Duplicates = _DUPLICATES,
    duplicate_fmr: float = 0.0,
    multi_face: MultiFace = _MULTI_FACE,
    validate_only: bool = False,
    request_id: str = "",
) -> gallery_pb2.EnrollSampleRequest:
    """Add a picture or a vector to a subject. Sending it again changes nothing."""
    request = gallery_pb2.EnrollSampleRequest(
        gallery_id=gallery,
        subject_id=subject,
        display_name=display_name,
        labels=labels,
        consent_ref=consent_ref,
        source_name=source,
        expire_time=_moment(expires),
        duplicates=duplicates,
        duplicate_fmr=duplicate_fmr,
        multi_face=multi_face,
        validate_only=validate_only,
        request_id=_own(request_id),
    )
    if isinstance(sample, probe_pb2.Embedding):
        request.embedding.CopyFrom(sample)
    else:
        request.image.CopyFrom(_image(sample))
    return request


def get_subject(gallery: str, subject: str) -> gallery_pb2.GetSubjectRequest:
    """One subject with its samples."""
    return gallery_pb2.GetSubjectRequest(gallery_id=gallery, subject_id=subject)


def list_subjects(
    gallery: str, labels: Labels = None, page_size: int = 100
) -> gallery_pb2.ListSubjectsRequest:
    """Every subject that has all the labels, in order of id, fetched a page at a time."""
    return gallery_pb2.ListSubjectsRequest(
        gallery_id=gallery, label_filter=labels, page_size=page_size
    )


def update_subject(  # noqa: PLR0913 - what is said of a subject
    gallery: str,
    subject: str,
    *,
    display_name: str | None = None,
    labels: Labels = None,
    consent_ref: str | None = None,
    expires: datetime | None = None,
    keep_for_ever: bool = False,
    request_id: str = "",
) -> gallery_pb2.UpdateSubjectRequest:
    """Change what is given; None leaves it, what is empty clears it."""
    given = {
        "display_name": display_name is not None,
        "labels": labels is not None,
        "consent_ref": consent_ref is not None,
        "expire_time": expires is not None or keep_for_ever,
    }
    return gallery_pb2.UpdateSubjectRequest(
        gallery_id=gallery,
        subject=gallery_pb2.Subject(
            subject_id=subject,
            display_name=display_name or "",
            labels=labels,
            consent_ref=consent_ref or "",
            expire_time=_moment(None if keep_for_ever else expires),
        ),
        update_mask=FieldMask(paths=[path for path, changes in given.items() if changes]),
        request_id=_own(request_id),
    )


def merge_subjects(
    gallery: str, into: str, others: Sequence[str], *, request_id: str = ""
) -> gallery_pb2.MergeSubjectsRequest:
    """Give the samples of others to one subject."""
    return gallery_pb2.MergeSubjectsRequest(
        gallery_id=gallery,
        into_subject_id=into,
        from_subject_ids=others,
        request_id=_own(request_id),
    )


def delete_samples(
    gallery: str, samples: Sequence[str], *, request_id: str = ""
) -> gallery_pb2.DeleteSamplesRequest:
    """Forget single samples; a subject goes with its last one."""
    return gallery_pb2.DeleteSamplesRequest(
        gallery_id=gallery, sample_ids=samples, request_id=_own(request_id)
    )


def delete_subject(
    gallery: str, subject: str, *, allow_missing: bool = False, request_id: str = ""
) -> gallery_pb2.DeleteSubjectRequest:
    """Forget a subject with all its samples."""
    return gallery_pb2.DeleteSubjectRequest(
        gallery_id=gallery,
        subject_id=subject,
        allow_missing=allow_missing,
        request_id=_own(request_id),
    )


def export_subject(
    gallery: str, subject: str, *, include_embeddings: bool = False
) -> gallery_pb2.ExportSubjectRequest:
    """Everything that is held about a person."""
    return gallery_pb2.ExportSubjectRequest(
        gallery_id=gallery, subject_id=subject, include_embeddings=include_embeddings
    )


def model() -> model_pb2.GetModelRequest:
    """What is served."""
    return model_pb2.GetModelRequest()


def calibration(samples_per_subject: int = 1) -> model_pb2.GetCalibrationRequest:
    """Thresholds with the error rates that were measured at them."""
    return model_pb2.GetCalibrationRequest(samples_per_subject=samples_per_subject)


def _own(request_id: str) -> str:
    """The caller's, or a new one, by which the server knows a repetition."""
    return request_id or uuid.uuid4().hex


def _probe(probe: Probe) -> probe_pb2.Probe:
    if isinstance(probe, probe_pb2.Embedding):
        return probe_pb2.Probe(embedding=probe)
    if isinstance(probe, probe_pb2.SubjectRef):
        return probe_pb2.Probe(subject=probe)
    return probe_pb2.Probe(image=_image(probe))


def _image(picture: Picture) -> probe_pb2.Image:
    return probe_pb2.Image(content=picture) if isinstance(picture, bytes) else picture


def _policy(policy: Policy | None) -> decision_pb2.DecisionPolicy | None:
    if policy is None:
        return None
    if isinstance(policy, RawThreshold):
        return decision_pb2.DecisionPolicy(raw_threshold=policy.threshold)
    if isinstance(policy, TargetFMR):
        return decision_pb2.DecisionPolicy(target_fmr=policy.rate)
    return decision_pb2.DecisionPolicy(target_fpir=policy.rate)


def _retention(
    max_age: timedelta | None, since_last_match: timedelta | None
) -> gallery_pb2.Retention:
    return gallery_pb2.Retention(
        max_age=_duration(max_age), since_last_match=_duration(since_last_match)
    )


def _duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def _moment(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
