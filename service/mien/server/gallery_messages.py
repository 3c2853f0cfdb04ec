"""Between the messages of gallery.proto and the records of the gallery room."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from mien.errors import InvalidRequest
from mien.gallery.records import (
    About,
    Deletion,
    GalleryInfo,
    Quality,
    Retention,
    Sample,
    Subject,
    SubjectChange,
    SubjectExport,
)
from mien.v1 import gallery_pb2, probe_pb2, reason_pb2

SUBJECT_PATHS = ("display_name", "labels", "consent_ref", "expire_time")
GALLERY_PATHS = ("labels", "retention")


def read_mask(mask: FieldMask, known: Collection[str]) -> frozenset[str]:
    """The fields that are to be replaced. Raises InvalidRequest of none and of unknown ones."""
    paths = frozenset(mask.paths)
    if unknown := sorted(paths - set(known)):
        raise InvalidRequest(f"update_mask names {unknown[0][:140]!r}; it takes {', '.join(known)}")
    if not paths:
        raise InvalidRequest(f"update_mask names nothing to change; it takes {', '.join(known)}")
    return paths


def read_change(subject: gallery_pb2.Subject, mask: FieldMask) -> SubjectChange:
    """What to change of a subject. Raises InvalidRequest."""
    paths = read_mask(mask, SUBJECT_PATHS)
    expires = read_moment(subject.expire_time) if subject.HasField("expire_time") else None
    return SubjectChange(
        display_name=subject.display_name if "display_name" in paths else None,
        labels=dict(subject.labels) if "labels" in paths else None,
        consent_ref=subject.consent_ref if "consent_ref" in paths else None,
        expires=expires if "expire_time" in paths else None,
        keep_for_ever="expire_time" in paths and expires is None,
    )


def read_about(request: gallery_pb2.EnrollSampleRequest) -> About:
    """What is said of a sample and its subject. Raises InvalidRequest."""
    return About(
        display_name=request.display_name,
        labels=dict(request.labels),
        consent_ref=request.consent_ref,
        source=request.source_name,
        expires=read_moment(request.expire_time) if request.HasField("expire_time") else None,
    )


def read_retention(retention: gallery_pb2.Retention) -> Retention:
    """Raises InvalidRequest."""
    return Retention(
        max_age=_read_duration(retention, "max_age"),
        since_last_match=_read_duration(retention, "since_last_match"),
    )


def read_moment(stamp: Timestamp) -> datetime:
    """Aware, in UTC. Raises InvalidRequest beyond the years 1 to 9999."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{stamp.seconds} seconds and {stamp.nanos} nanoseconds since 1970 are no time of the "
            "years 1 to 9999"
        ) from None


def write_gallery(info: GalleryInfo) -> gallery_pb2.Gallery:
    """Without retention where everybody is kept for ever."""
    message = gallery_pb2.Gallery(
        gallery_id=info.gallery_id,
        model_fingerprint=info.model_fingerprint,
        dim=info.dim,
        subjects=info.subjects,
        samples=info.samples,
        revision=info.revision,
        labels=info.labels,
        create_time=write_moment(info.created),
    )
    for name in ("max_age", "since_last_match"):
        if (length := getattr(info.retention, name)) is not None:
            getattr(message.retention, name).FromTimedelta(length)
    return message


def write_subject(subject: Subject, *, samples: bool = True) -> gallery_pb2.Subject:
    """With its samples, unless they are not wanted."""
    return gallery_pb2.Subject(
        subject_id=subject.subject_id,
        samples=map(write_sample, subject.samples) if samples else (),
        display_name=subject.display_name,
        create_time=write_moment(subject.created),
        last_match_time=_moment_or_none(subject.last_match),
        expire_time=_moment_or_none(subject.expires),
        labels=subject.labels,
        consent_ref=subject.consent_ref,
    )


def write_sample(sample: Sample) -> gallery_pb2.Sample:
    return gallery_pb2.Sample(
        sample_id=sample.sample_id,
        content_sha256=sample.content_sha256,
        source=sample.source,
        quality=None if sample.quality is None else write_quality(sample.quality),
        create_time=write_moment(sample.created),
        expire_time=_moment_or_none(sample.expires),
    )


def write_quality(quality: Quality) -> probe_pb2.Quality:
    """Its warnings are the reasons that this version of the contract has."""
    return probe_pb2.Quality(
        score=quality.score,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        min_side_px=quality.min_side_px,
        warnings=_reasons(quality.warnings),
    )


def write_receipt(deletion: Deletion) -> gallery_pb2.DeleteReceipt:
    return gallery_pb2.DeleteReceipt(
        samples_deleted=deletion.samples,
        revision=deletion.revision,
        not_found=deletion.not_found,
    )


def write_export(held: SubjectExport, *, embeddings: bool) -> gallery_pb2.SubjectExport:
    """Everything that is held about a person; with the vectors if they are wanted."""
    message = gallery_pb2.SubjectExport(
        subject=write_subject(held.subject),
        gallery_id=held.gallery_id,
        model_fingerprint=held.model_fingerprint,
    )
    for request in held.requests:
        at = write_moment(request.at)
        message.ledger.add(method=request.method, time=at, answer=request.answer)
    for vector in held.vectors if embeddings else ():
        message.embeddings.add(
            model_fingerprint=held.model_fingerprint,
            f32le=vector.astype("<f4").tobytes(),
            dim=len(vector),
        )
    return message


def write_moment(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _moment_or_none(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else write_moment(moment)


def _read_duration(retention: gallery_pb2.Retention, name: str) -> timedelta | None:
    if not retention.HasField(name):  # type: ignore[arg-type]  # one of two literals
        return None
    length: Duration = getattr(retention, name)
    try:
        return length.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name} is {length.seconds} seconds, which is too long") from None


def _reasons(names: tuple[str, ...]) -> Iterator["reason_pb2.Reason.ValueType"]:
    known = dict(reason_pb2.Reason.items())
    return (known[f"REASON_{name}"] for name in names if f"REASON_{name}" in known)
