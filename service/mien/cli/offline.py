"""What an operator asks of a data directory that no server has open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.gallery import condition
from mien.gallery.galleries import Galleries
from mien.gallery.lock import DirectoryLock
from mien.gallery.prove import prove
from mien.matching.calibration import Calibration
from mien.matching.decision import TargetFMR
from mien.model import bundle
from mien.server.gallery_messages import write_export, write_gallery
from mien.server.maintenance import messages as upkeep_messages
from mien.server.maintenance import snapshots
from mien.server.maintenance.duplicates import find_duplicates
from mien.server.servicers import maintenance
from mien.v1 import gallery_pb2, maintenance_pb2, match_pb2


class Offline:
    """The server's own work, without a server: each call opens the directory and lets it go.

    Every call raises SettingsInvalid (no data directory), DataDirectoryLocked, which says who has
    it, and StoreInvalid.
    """

    def __init__(self, data: Path, calibrated: Path | None = None) -> None:
        """`calibrated` is a bundle, for decisions by error rate. Raises BundleInvalid."""
        self._data = data
        self._calibration: Calibration | None = None
        if calibrated is not None:
            self._calibration = bundle.load(calibrated).calibration

    def stats(self, gallery: str) -> maintenance_pb2.GalleryStats:
        with self._opened() as galleries:
            return maintenance.stats(galleries, gallery)

    def check(self, gallery: str, check_only: bool = False) -> maintenance_pb2.CheckGalleryResponse:
        found = condition.check_directory(self._data, gallery, check_only)
        return upkeep_messages.write_condition(found)

    def snapshot(self, gallery: str, out: Path) -> maintenance_pb2.SnapshotStamp:
        with self._opened() as galleries:
            return upkeep_messages.write_stamp(galleries.snapshot(gallery, out))

    def restore(self, source: Path, gallery: str) -> gallery_pb2.Gallery:
        """The directory is made if it is missing."""
        with Galleries(self._data) as galleries:
            return write_gallery(snapshots.restore_new(galleries, source, gallery))

    def export(
        self, gallery: str, subject: str = "", embeddings: bool = False
    ) -> Iterator[gallery_pb2.SubjectExport]:
        with self._opened() as galleries:
            everyone = (
                iter([galleries.export_subject(gallery, subject)])
                if subject
                else maintenance.everyone(galleries, gallery)
            )
            for held in everyone:
                yield write_export(held, embeddings=embeddings)

    def duplicates(
        self, request: match_pb2.FindDuplicatesRequest
    ) -> Iterator[match_pb2.FindDuplicatesResponse]:
        """The request says by what rate or threshold: there is no server's default."""
        with self._opened() as galleries:
            rate = TargetFMR(request.target_fmr)
            yield from find_duplicates(galleries, self._calibration, request, rate, lambda: None)

    def prove_absent(
        self, request: maintenance_pb2.ProveAbsentRequest
    ) -> maintenance_pb2.ProveAbsentResponse:
        """Of the files as they are: the directory is held, but not opened."""
        condition.check_there(self._data)
        with DirectoryLock(self._data):
            vector = maintenance.sought_vector(request)
            proof = prove(self._data, vector, request.content_sha256, request.text)
        return upkeep_messages.write_proof(proof)

    def expire(self) -> maintenance_pb2.ExpireSamplesResponse:
        with self._opened() as galleries:
            return upkeep_messages.write_expired(galleries.expire())

    @contextmanager
    def _opened(self) -> Iterator[Galleries]:
        condition.check_there(self._data)
        with Galleries(self._data) as galleries:
            yield galleries
