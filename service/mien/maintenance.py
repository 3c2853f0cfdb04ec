"""A typed client for who keeps galleries: check, save, put back, hand out, compare, let go.

Beside `mien.client`, on its connection, with the same exceptions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import grpc

from mien import errors
from mien.client import Client
from mien.client.refusals import translated
from mien.files import created
from mien.v1 import (
    gallery_pb2,
    gallery_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    match_pb2,
    match_pb2_grpc,
)

PIECE = 2**20
"""Bytes of a snapshot in a message."""

_Reply = TypeVar("_Reply")


class Maintenance:
    """What an operator asks of a server. Safe to use from several threads.

    These calls take as long as a gallery is large: without a `deadline`, in seconds, they are
    waited for until they are done.
    """

    def __init__(self, client: Client, deadline: float | None = None) -> None:
        self._address = client.address
        self._deadline = deadline
        self._stub = maintenance_pb2_grpc.MaintenanceServiceStub(client.channel)
        self._match = match_pb2_grpc.MatchServiceStub(client.channel)
        self._gallery = gallery_pb2_grpc.GalleryServiceStub(client.channel)

    def stats(self, gallery: str) -> maintenance_pb2.GalleryStats:
        """What a gallery holds and how it is searched."""
        request = maintenance_pb2.GetGalleryStatsRequest(gallery_id=gallery)
        return self._call(self._stub.GetGalleryStats, request)

    def check(self, gallery: str, check_only: bool = False) -> maintenance_pb2.CheckGalleryResponse:
        """What is wrong with a gallery; what is derived of it is made anew unless `check_only`."""
        request = maintenance_pb2.CheckGalleryRequest(gallery_id=gallery, check_only=check_only)
        return self._call(self._stub.CheckGallery, request)

    def snapshot(self, gallery: str, out: Path) -> maintenance_pb2.SnapshotStamp:
        """Write a gallery to a new file, whole or not at all. Raises OutputExists."""
        request = maintenance_pb2.SnapshotGalleryRequest(gallery_id=gallery)
        with created(out) as file, self._translated():
            return _receive(self._stub.SnapshotGallery(request, timeout=self._deadline), file)

    def restore(self, source: Path, gallery: str) -> gallery_pb2.Gallery:
        """Make a new gallery of a snapshot's file."""
        with source.open("rb") as file:
            return self._call(self._stub.RestoreGallery, _pieces(file, gallery)).gallery

    def export(
        self, gallery: str, subject: str = "", embeddings: bool = False
    ) -> Iterator[gallery_pb2.SubjectExport]:
        """Everything that is held of everybody, or of one subject; on request with vectors."""
        if subject:
            one = gallery_pb2.ExportSubjectRequest(
                gallery_id=gallery, subject_id=subject, include_embeddings=embeddings
            )
            yield self._call(self._gallery.ExportSubject, one)
            return
        everyone = maintenance_pb2.ExportGalleryRequest(
            gallery_id=gallery, include_embeddings=embeddings
        )
        with self._translated():
            yield from self._stub.ExportGallery(everyone, timeout=self._deadline)

    def duplicates(
        self, request: match_pb2.FindDuplicatesRequest
    ) -> Iterator[match_pb2.FindDuplicatesResponse]:
        """Pairs of subjects that are one person, samples that do not fit, and last the summary."""
        with self._translated():
            yield from self._match.FindDuplicates(request, timeout=self._deadline)

    def prove_absent(
        self, request: maintenance_pb2.ProveAbsentRequest
    ) -> maintenance_pb2.ProveAbsentResponse:
        """Where in the data directory's files what is given is found: nowhere, one hopes."""
        return self._call(self._stub.ProveAbsent, request)

    def expire(self) -> maintenance_pb2.ExpireSamplesResponse:
        """Let go of whatever is due, now."""
        return self._call(self._stub.ExpireSamples, maintenance_pb2.ExpireSamplesRequest())

    def _call(self, method: Callable[..., _Reply], request: Any) -> _Reply:
        with self._translated():
            return method(request, timeout=self._deadline)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise translated(error, self._address) from error


def _receive(
    responses: Iterator[maintenance_pb2.SnapshotGalleryResponse], file: BinaryIO
) -> maintenance_pb2.SnapshotStamp:
    stamp = maintenance_pb2.SnapshotStamp()
    for response in responses:
        if response.HasField("stamp"):
            stamp.CopyFrom(response.stamp)
        file.write(response.content)
    if not stamp.gallery_id:
        raise errors.Internal("the server sent a snapshot without saying of what; ask again")
    return stamp


def _pieces(file: BinaryIO, gallery: str) -> Iterator[maintenance_pb2.RestoreGalleryRequest]:
    yield maintenance_pb2.RestoreGalleryRequest(gallery_id=gallery)
    while piece := file.read(PIECE):
        yield maintenance_pb2.RestoreGalleryRequest(content=piece)
