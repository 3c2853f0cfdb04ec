"""What the gallery room says of everything that it holds, in the messages of the contract."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mien.gallery.condition import Condition
from mien.gallery.index import IndexStats
from mien.gallery.prove import Proof
from mien.gallery.records import (
    Expired,
    GalleryInfo,
    Quality,
    Retention,
    Sample,
    Stamp,
    Subject,
    SubjectExport,
)
from mien.v1 import gallery_pb2, maintenance_pb2, probe_pb2, reason_pb2


def write_gallery(info: GalleryInfo) -> gallery_pb2.Gallery:
    return gallery_pb2.Gallery(
        gallery_id=info.gallery_id,
        model_fingerprint=info.model_fingerprint,
        dim=info.dim,
        subjects=info.subjects,
        samples=info.samples,
        revision=info.revision,
        retention=_retention(info.retention),
        labels=info.labels,
        create_time=moment(info.created),
    )


def write_stats(info: GalleryInfo, index: IndexStats) -> maintenance_pb2.GalleryStats:
    message = maintenance_pb2.GalleryStats(
        gallery=write_gallery(info),
        index=index.kind,
        vector_bytes=4 * info.dim * info.samples,
    )
    if index.lists:
        message.lists, message.probes, message.recall = index.lists, index.probes, index.recall
    return message


def write_condition(condition: Condition) -> maintenance_pb2.CheckGalleryResponse:
    response = maintenance_pb2.CheckGalleryResponse(
        subjects=condition.subjects, samples=condition.samples, revision=condition.revision
    )
    for each in condition.findings:
        response.findings.add(what=each.what, message=each.message, repaired=each.repaired)
    return response


def write_stamp(stamp: Stamp) -> maintenance_pb2.SnapshotStamp:
    return maintenance_pb2.SnapshotStamp(
        gallery_id=stamp.gallery_id,
        model_fingerprint=stamp.model_fingerprint,
        dim=stamp.dim,
        revision=stamp.revision,
        subjects=stamp.subjects,
        samples=stamp.samples,
        take_time=moment(stamp.taken),
    )


def write_expired(expired: list[Expired]) -> maintenance_pb2.ExpireSamplesResponse:
    response = maintenance_pb2.ExpireSamplesResponse()
    for each in expired:
        response.galleries.add(
            gallery_id=each.gallery_id,
            subjects=each.subjects,
            samples=each.samples,
            revision=each.revision,
        )
    return response


def write_proof(proof: Proof) -> maintenance_pb2.ProveAbsentResponse:
    response = maintenance_pb2.ProveAbsentResponse(files=proof.files, bytes=proof.bytes)
    for each in proof.traces:
        response.traces.add(file=each.file, offset=each.offset, what=each.what)
    return response


def write_export(held: SubjectExport, with_embeddings: bool) -> gallery_pb2.SubjectExport:
    message = gallery_pb2.SubjectExport(
        subject=_subject(held.subject),
        gallery_id=held.gallery_id,
        model_fingerprint=held.model_fingerprint,
    )
    for request in held.requests:
        message.ledger.add(method=request.method, time=moment(request.at), answer=request.answer)
    for vector in held.vectors if with_embeddings else ():
        message.embeddings.add(
            model_fingerprint=held.model_fingerprint,
            f32le=vector.astype("<f4").tobytes(),
            dim=len(vector),
        )
    return message


def moment(when: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(when)
    return stamp


def _subject(subject: Subject) -> gallery_pb2.Subject:
    return gallery_pb2.Subject(
        subject_id=subject.subject_id,
        samples=map(_sample, subject.samples),
        display_name=subject.display_name,
        create_time=moment(subject.created),
        labels=subject.labels,
        consent_ref=subject.consent_ref,
        **_moments(last_match_time=subject.last_match, expire_time=subject.expires),
    )


def _sample(sample: Sample) -> gallery_pb2.Sample:
    return gallery_pb2.Sample(
        sample_id=sample.sample_id,
        content_sha256=sample.content_sha256,
        source=sample.source,
        quality=None if sample.quality is None else _quality(sample.quality),
        create_time=moment(sample.created),
        **_moments(expire_time=sample.expires),
    )


def _quality(quality: Quality) -> probe_pb2.Quality:
    return probe_pb2.Quality(
        score=quality.score,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        min_side_px=quality.min_side_px,
        warnings=[reason_pb2.Reason.Value(f"REASON_{name}") for name in quality.warnings],
    )


def _retention(kept: Retention) -> gallery_pb2.Retention | None:
    """Nothing if it keeps people for ever."""
    if kept == Retention():
        return None
    return gallery_pb2.Retention(
        max_age=_duration(kept.max_age), since_last_match=_duration(kept.since_last_match)
    )


def _moments(**moments: datetime | None) -> Mapping[str, Timestamp]:
    """Those that there are, by field."""
    return {name: moment(when) for name, when in moments.items() if when is not None}


def _duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    duration = Duration()
    duration.FromTimedelta(length)
    return duration
