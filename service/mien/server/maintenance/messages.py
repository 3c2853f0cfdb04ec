"""What an operator is told, in the messages of maintenance.proto."""

from mien.gallery.condition import Condition
from mien.gallery.index.sample_index import IndexStats
from mien.gallery.prove import Proof
from mien.gallery.records import Expired, GalleryInfo, Stamp
from mien.server.gallery_messages import write_gallery, write_moment
from mien.v1 import maintenance_pb2


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
        take_time=write_moment(stamp.taken),
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
