"""MaintenanceService. A method reads the request, calls the gallery room, and replies."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import numpy as np

from mien import deadline
from mien.errors import InvalidEmbedding, SubjectNotFound
from mien.gallery import condition
from mien.gallery.galleries import Galleries
from mien.gallery.proving import prove_elsewhere
from mien.gallery.records import SubjectExport
from mien.matching.metrics import Vectors
from mien.server.gallery_messages import write_export, write_gallery
from mien.server.maintenance import messages as upkeep_messages
from mien.server.maintenance import snapshots
from mien.server.streams import Streams
from mien.v1 import gallery_pb2, maintenance_pb2, maintenance_pb2_grpc, probe_pb2

PAGE = 100
"""Subjects whose ids are read at a time."""


class MaintenanceServicer(maintenance_pb2_grpc.MaintenanceServiceServicer):
    def __init__(
        self, galleries: Galleries, data: Path, model_fingerprint: str, streams: Streams
    ) -> None:
        self._galleries = galleries
        self._data = data
        self._model_fingerprint = model_fingerprint
        self._streams = streams

    def GetGalleryStats(
        self, request: maintenance_pb2.GetGalleryStatsRequest, context: grpc.ServicerContext
    ) -> maintenance_pb2.GalleryStats:
        return stats(self._galleries, request.gallery_id)

    def CheckGallery(
        self, request: maintenance_pb2.CheckGalleryRequest, context: grpc.ServicerContext
    ) -> maintenance_pb2.CheckGalleryResponse:
        self._galleries.get(request.gallery_id)
        found = condition.check(self._galleries, request.gallery_id, request.check_only)
        return upkeep_messages.write_condition(found)

    def SnapshotGallery(
        self, request: maintenance_pb2.SnapshotGalleryRequest, context: grpc.ServicerContext
    ) -> Iterator[maintenance_pb2.SnapshotGalleryResponse]:
        taken = self._galleries.open_snapshot(request.gallery_id)
        with self._streams.place(), taken as (stamp, file):
            yield maintenance_pb2.SnapshotGalleryResponse(stamp=upkeep_messages.write_stamp(stamp))
            for piece in snapshots.pieces(file):
                yield maintenance_pb2.SnapshotGalleryResponse(content=piece)

    def RestoreGallery(
        self,
        request_iterator: Iterator[maintenance_pb2.RestoreGalleryRequest],
        context: grpc.ServicerContext,
    ) -> maintenance_pb2.RestoreGalleryResponse:
        with self._streams.place():
            info = snapshots.restored(
                self._galleries, self._data, request_iterator, self._model_fingerprint
            )
        return maintenance_pb2.RestoreGalleryResponse(gallery=write_gallery(info))

    def ExportGallery(
        self, request: maintenance_pb2.ExportGalleryRequest, context: grpc.ServicerContext
    ) -> Iterator[gallery_pb2.SubjectExport]:
        with self._streams.place():
            for held in everyone(self._galleries, request.gallery_id):
                yield write_export(held, embeddings=request.include_embeddings)

    def ExpireSamples(
        self, request: maintenance_pb2.ExpireSamplesRequest, context: grpc.ServicerContext
    ) -> maintenance_pb2.ExpireSamplesResponse:
        return upkeep_messages.write_expired(self._galleries.expire())

    def ProveAbsent(
        self, request: maintenance_pb2.ProveAbsentRequest, context: grpc.ServicerContext
    ) -> maintenance_pb2.ProveAbsentResponse:
        proof = prove_elsewhere(
            self._data,
            sought_vector(request),
            request.content_sha256,
            request.text,
            partial(deadline.check, "search every file"),
        )
        return upkeep_messages.write_proof(proof)


def stats(galleries: Galleries, gallery_id: str) -> maintenance_pb2.GalleryStats:
    """Raises InvalidId and GalleryNotFound."""
    return upkeep_messages.write_stats(galleries.get(gallery_id), galleries.index_stats(gallery_id))


def everyone(galleries: Galleries, gallery_id: str) -> Iterator[SubjectExport]:
    """What is held of each subject, in order of id: each as of a moment of its own.

    Who is enrolled or deleted meanwhile may be among them or not. Raises InvalidId and
    GalleryNotFound.
    """
    last = ""
    while page := galleries.subjects(gallery_id, last, PAGE):
        for subject in page:
            try:
                yield galleries.export_subject(gallery_id, subject.subject_id)
            except SubjectNotFound:
                continue  # deleted since the page was read
        last = page[-1].subject_id


def sought_vector(request: maintenance_pb2.ProveAbsentRequest) -> Vectors | None:
    """What is to be absent, of whatever model; None if it is no vector. Raises InvalidEmbedding."""
    if not request.HasField("embedding"):
        return None
    sent: probe_pb2.Embedding = request.embedding
    if not sent.dim or len(sent.f32le) != 4 * sent.dim:
        raise InvalidEmbedding(
            f"the embedding has dim {sent.dim} and {len(sent.f32le)} bytes; send float32 values, "
            "four bytes for each"
        )
    return np.frombuffer(sent.f32le, "<f4").astype(np.float32)
