"""A data directory's gallery as the place where samples go: the service's own work, here.

    reading, committing   in the thread that calls
    decoding, detecting, embedding   a batch at a time, on a thread for each core

Each core takes a batch of pictures from bytes to vectors by itself, the network on one thread, so
that none waits for another and nothing is handed over; OpenCV takes no threads of its own. Batches
are taken up in order, and a few at most are under way.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from mien.enrolling.items import Refusal
from mien.enrolling.job import Answer, Job
from mien.enrolling.options import Options
from mien.errors import InvalidArgument, MienError, SubjectNotFound
from mien.gallery import condition
from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Enrolment, Quality, SubjectChange
from mien.matching.decision import TargetFMR
from mien.model.bundle import Bundle
from mien.model.pipeline import Embedded, Faces, Pipeline
from mien.server.enrolling.enroller import Enroller, Wanted
from mien.server.enrolling.neighbours import Watch
from mien.server.gallery_messages import write_gallery, write_subject
from mien.server.maintenance.duplicates import find_duplicates
from mien.server.probes import Probes
from mien.server.settings import Settings
from mien.server.threads import arrange
from mien.v1 import gallery_pb2, match_pb2
from mien.vision import detector_file
from mien.vision.faces import Detector
from mien.vision.yunet import YuNet

BATCH = 32
"""Pictures: so many run through a network nearly as fast for each as more do (docs/serving.md)."""

BATCH_BYTES = 32 * 2**20
"""Of pictures as files; one alone may be larger."""

AHEAD = 2
"""Batches that wait for each one that is being worked on."""


class Directory:
    """Opens a data directory, which nobody else has open then."""

    def __init__(  # noqa: PLR0913 - where, with what, how
        self,
        data: Path,
        gallery: str,
        bundle: Bundle,
        options: Options,
        detector: Path | None = None,
        *,
        create: bool = False,
    ) -> None:
        """`create` makes what is missing of the directory and the gallery.

        Raises SettingsInvalid (no data directory), DataDirectoryLocked, BundleInvalid,
        DetectorMissing, GalleryNotFound and ModelMismatch.
        """
        self._cores = arrange().cores
        self._bundle, self._gallery, self._options = bundle, gallery, options
        self.pipeline = Pipeline(bundle, threads=1, detector=_detector(bundle, detector))
        if not create:
            condition.check_there(data)
        self._galleries = Galleries(data)
        default = TargetFMR(Settings.default_target_fmr)
        self._default = TargetFMR(options.fmr) if options.fmr else default
        probes = Probes(self.pipeline, self._galleries)
        self._enroller = Enroller(probes, self._galleries, self._default)
        self._workers = ThreadPoolExecutor(self._cores, thread_name_prefix="mien-enroll")

    def create(self) -> None:
        """Raises GalleryExists."""
        manifest = self._bundle.manifest
        self._galleries.create(self._gallery, manifest.fingerprint, manifest.input.dim)

    def gallery(self) -> gallery_pb2.Gallery:
        info = self._galleries.get(self._gallery)
        self._enroller.check(self._gallery)
        return write_gallery(info)

    def subject(self, subject_id: str) -> gallery_pb2.Subject | None:
        try:
            return write_subject(self._galleries.get_subject(self._gallery, subject_id))
        except SubjectNotFound:
            return None

    def enroll(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, Answer]]:
        under_way: deque[tuple[list[Job], Future[list[Wanted | MienError]]]] = deque()
        for batch in _batches(jobs):
            under_way.append((batch, self._workers.submit(self._embedded, batch)))
            if len(under_way) >= self._cores * (1 + AHEAD):
                yield from self._taken(*under_way.popleft())
        while under_way:
            yield from self._taken(*under_way.popleft())

    def describe(
        self, subject_id: str, display_name: str, labels: Mapping[str, str], consent_ref: str
    ) -> None:
        change = SubjectChange(display_name=display_name, labels=labels, consent_ref=consent_ref)
        self._galleries.update_subject(self._gallery, subject_id, change)

    def delete(self, sample_ids: Sequence[str]) -> None:
        self._galleries.delete_samples(self._gallery, sample_ids)

    def duplicates(
        self, request: match_pb2.FindDuplicatesRequest
    ) -> Iterator[match_pb2.FindDuplicatesResponse]:
        calibration = self._bundle.calibration
        return find_duplicates(self._galleries, calibration, request, self._default, lambda: None)

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        self._galleries.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _embedded(self, batch: Sequence[Job]) -> list[Wanted | MienError]:
        contents = [job.content for job in batch]
        found = self.pipeline.faces_each(contents, self._options.multi_face)
        return [self._wanted(job, each) for job, each in zip(batch, found, strict=True)]

    def _wanted(self, job: Job, found: Faces | InvalidArgument) -> Wanted | MienError:
        if isinstance(found, InvalidArgument):
            return found
        (face,) = found.embedded
        said = job.said
        about = About(
            said.display_name, said.labels, said.consent_ref, job.source, _quality(face),
            said.expires,
        )  # fmt: skip
        item = Enrolment(job.row.subject_id, face.vector, job.row.sha256, about)
        return Wanted(item, self._watch(), self._options.validate_only)

    def _watch(self) -> Watch:
        """By the server's rules; what was not asked for is left undone if it cannot be."""
        refuses = self._options.other_subject == "refuse"
        return Watch(self._default, refuses, asked=refuses or bool(self._options.fmr))

    def _taken(
        self, batch: Sequence[Job], future: "Future[list[Wanted | MienError]]"
    ) -> Iterator[tuple[Job, Answer]]:
        """Enrol a batch: together, or one by one where one may be refused because of another.

        Whether somebody is too alike is decided a little differently within a batch, and a run
        that goes on after a kill has other batches.
        """
        found = list(zip(batch, future.result(), strict=True))
        size = 1 if self._options.other_subject == "refuse" else BATCH
        for start in range(0, len(found), size):
            some = found[start : start + size]
            wanted = [each for _, each in some if isinstance(each, Wanted)]
            outcomes = iter(self._enroller.enroll(self._gallery, wanted))
            for job, each in some:
                outcome = next(outcomes) if isinstance(each, Wanted) else each
                yield job, Refusal.of(outcome) if isinstance(outcome, MienError) else outcome


def _detector(bundle: Bundle, named: Path | None) -> Detector | None:
    """None leaves it to the pipeline."""
    if named is None or bundle.manifest.input.alignment == "none":
        return None
    return YuNet(detector_file.find(named))


def _quality(face: Embedded) -> Quality | None:
    """As a gallery keeps it."""
    found = face.quality
    if found is None:
        return None
    warnings = tuple(each.reason for each in face.warnings)
    return Quality(found.score, found.sharpness, found.brightness, found.min_side_px, warnings)


def _batches(jobs: Iterator[Job]) -> Iterator[list[Job]]:
    batch: list[Job] = []
    weight = 0
    for job in jobs:
        batch.append(job)
        weight += len(job.content)
        if len(batch) == BATCH or weight >= BATCH_BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
