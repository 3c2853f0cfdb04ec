"""Snapshots that come and go over the wire, by way of the data directory's disk, never of memory.

The files are in folders that the start of a store removes, so that a killed server leaves none.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mien.errors import GalleryExists, GalleryNotFound, InvalidRequest, StorageFull
from mien.gallery.galleries import Galleries
from mien.gallery.ids import check_id
from mien.gallery.records import GalleryInfo
from mien.gallery.store.journal import LEFTOVER
from mien.shortage import shortage
from mien.v1 import maintenance_pb2

PIECE = 2**20
"""Bytes of a message."""

RESERVE = 64 * 2**20
"""Bytes of the disk that an upload leaves free, so that writes beside it go on."""


def pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def restored(
    galleries: Galleries,
    data: Path,
    requests: Iterator[maintenance_pb2.RestoreGalleryRequest],
    model_fingerprint: str,
) -> GalleryInfo:
    """A new gallery from the pieces of a snapshot.

    Raises InvalidRequest, SnapshotInvalid, GalleryExists, ModelMismatch and StorageFull.
    """
    first = next(requests, None)
    if first is None:
        raise InvalidRequest("there is no snapshot; send the gallery's id and the file's bytes")
    check_new(galleries, first.gallery_id)  # before anything is sent in vain
    with tempfile.TemporaryDirectory(prefix=LEFTOVER, dir=data) as folder:
        path = Path(folder) / "upload"
        with _full(data), path.open("xb") as file:
            _receive(first, requests, file)
        return restore_new(galleries, path, first.gallery_id, model_fingerprint)


def restore_new(
    galleries: Galleries, source: Path, gallery_id: str, model_fingerprint: str = ""
) -> GalleryInfo:
    """As `Galleries.restore`, but never into a gallery that is there.

    Raises GalleryExists, SnapshotInvalid and ModelMismatch.
    """
    check_new(galleries, gallery_id)
    return galleries.restore(source, gallery_id, model_fingerprint)


def check_new(galleries: Galleries, gallery_id: str) -> None:
    """Raise InvalidId or GalleryExists."""
    check_id("gallery", gallery_id)
    try:
        galleries.get(gallery_id)
    except GalleryNotFound:
        return
    raise GalleryExists(
        f"gallery {gallery_id!r} exists; restore under another id, or delete it first"
    )


@contextmanager
def _full(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if short := shortage(error):
            raise StorageFull(short.of(data)) from error
        raise


def _receive(
    first: maintenance_pb2.RestoreGalleryRequest,
    requests: Iterator[maintenance_pb2.RestoreGalleryRequest],
    file: BinaryIO,
) -> None:
    file.write(first.content)
    for request in requests:
        if request.gallery_id:
            raise InvalidRequest("gallery_id comes again; give it in the first message only")
        free = shutil.disk_usage(file.name).free
        if free - len(request.content) < RESERVE:
            raise StorageFull(
                f"{free:,} bytes are free on the disk of the galleries, which must keep "
                f"{RESERVE:,}; the snapshot is not taken in; make room"
            )
        file.write(request.content)
