"""Samples into galleries: one, or a group at once."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mien.errors import (
    InvalidArgument,
    InvalidRequest,
    MienError,
    NotCalibrated,
    UnsupportedOperatingPoint,
)
from mien.gallery.galleries import Galleries
from mien.gallery.ids import check_id
from mien.gallery.records import Enrolled, Enrolment
from mien.matching.decision import TargetFMR
from mien.matching.metrics import Vectors
from mien.server import gallery_messages, messages
from mien.server.neighbours import Neighbours, Watch, read_watch, refused
from mien.server.paging import MAX_BATCH
from mien.server.probes import Probes, check_multi_face
from mien.v1 import gallery_pb2, match_pb2, probe_pb2

Outcome: TypeAlias = gallery_pb2.EnrollSampleResponse | MienError
Near: TypeAlias = list[match_pb2.Candidate]
_MultiFace: TypeAlias = "probe_pb2.MultiFacePolicy.ValueType"


@dataclass(frozen=True)
class Wanted:
    """A sample that was read, and how to look out for others who are too alike."""

    item: Enrolment
    watch: Watch | None
    validate_only: bool


class Enroller:
    """Reads what is to be enrolled, and enrols it. For many threads.

    Looking for others and enrolling go together, one group at a time: otherwise two callers who
    enrol one face under two names at once would each find nobody.
    """

    def __init__(self, probes: Probes, galleries: Galleries, default: TargetFMR) -> None:
        bundle = probes.pipeline.bundle
        self._bundle = bundle
        self._probes = probes
        self._galleries = galleries
        self._default = default
        self._neighbours = Neighbours(bundle, galleries)
        self._turn = threading.Lock()

    def check(self, gallery_id: str) -> None:
        """Raise GalleryNotFound, InvalidId or ModelMismatch unless samples may come in."""
        self._galleries.enroll_each(gallery_id, [], self._bundle.manifest.fingerprint)

    def read(self, requests: Sequence[gallery_pb2.EnrollSampleRequest]) -> list[Wanted | MienError]:
        """What each asks for, or what is wrong with it; the pictures are embedded together."""
        watches = [self._checked(request) for request in requests]
        sound = [at for at, watch in enumerate(watches) if not isinstance(watch, MienError)]
        vectors = dict(zip(sound, self._vectors([requests[at] for at in sound]), strict=True))
        return [
            watch if isinstance(watch, MienError) else _wanted(request, watch, vectors[at])
            for at, (request, watch) in enumerate(zip(requests, watches, strict=True))
        ]

    def enroll(self, gallery_id: str, wanted: Sequence[Wanted]) -> list[Outcome]:
        """Keep what may be kept, in one transaction; what is wrong with one is its outcome.

        Raises GalleryNotFound and ModelMismatch, of the gallery.
        """
        with self._turn:
            near = self._look(gallery_id, wanted)
            outcomes: dict[int, Outcome] = {
                at: found for at, found in near.items() if isinstance(found, MienError)
            }
            for validate_only in (False, True):
                chosen = [
                    at
                    for at, each in enumerate(wanted)
                    if each.validate_only is validate_only and at not in outcomes
                ]
                outcomes |= self._keep(gallery_id, wanted, chosen, near, validate_only)
        return [outcomes[at] for at in range(len(wanted))]

    def _keep(
        self,
        gallery_id: str,
        wanted: Sequence[Wanted],
        chosen: Sequence[int],
        near: dict[int, Near | MienError],
        validate_only: bool,
    ) -> dict[int, Outcome]:
        if not chosen:
            return {}
        kept = self._galleries.enroll_each(
            gallery_id,
            [wanted[at].item for at in chosen],
            self._bundle.manifest.fingerprint,
            validate_only=validate_only,
        )
        return {at: _outcome(each, near.get(at)) for at, each in zip(chosen, kept, strict=True)}

    def _look(self, gallery_id: str, wanted: Sequence[Wanted]) -> dict[int, Near | MienError]:
        """Others who are too alike, by position, or why a sample is refused."""
        near: dict[int, Near | MienError] = {}
        before: list[Enrolment] = []
        for at, each in enumerate(wanted):
            if each.watch is not None:
                near[at] = self._near(gallery_id, each, each.watch, before)
            if not each.validate_only and not isinstance(near.get(at), MienError):
                before.append(each.item)
        return near

    def _near(
        self, gallery_id: str, wanted: Wanted, watch: Watch, before: Sequence[Enrolment]
    ) -> Near | MienError:
        try:
            found = self._neighbours.of(gallery_id, wanted.item, watch, before)
        except (InvalidArgument, NotCalibrated, UnsupportedOperatingPoint) as error:
            return error
        if found and watch.refuses and not self._is_kept(gallery_id, wanted.item):
            return refused(wanted.item, found, watch)
        return found

    def _is_kept(self, gallery_id: str, item: Enrolment) -> bool:
        """It was enrolled before: repeating that is answered as it was, whoever came since."""
        (outcome,) = self._galleries.enroll_each(
            gallery_id, [item], self._bundle.manifest.fingerprint, validate_only=True
        )
        return isinstance(outcome, Enrolled) and outcome.sample.sample_id != ""

    def _checked(self, request: gallery_pb2.EnrollSampleRequest) -> Watch | MienError | None:
        """Whatever can be refused without embedding."""
        try:
            check_id("subject", request.subject_id)
            if request.WhichOneof("source") is None:
                raise InvalidRequest("the sample is empty; give it an image or an embedding")
            check_multi_face(request.multi_face)
            gallery_messages.read_about(request)
            return read_watch(request, self._default)
        except MienError as error:
            return error

    def _vectors(
        self, requests: Sequence[gallery_pb2.EnrollSampleRequest]
    ) -> list[Vectors | MienError]:
        pictures: dict[_MultiFace, list[int]] = {}
        for at, request in enumerate(requests):
            if request.HasField("image"):
                pictures.setdefault(request.multi_face, []).append(at)
        found: dict[int, Vectors | MienError] = {}
        for policy, places in pictures.items():
            for start in range(0, len(places), MAX_BATCH):
                some = places[start : start + MAX_BATCH]
                images = [requests[at].image for at in some]
                found |= zip(some, self._probes.embed_each(images, policy), strict=True)
        return [
            found[at] if at in found else self._read_embedding(request.embedding)
            for at, request in enumerate(requests)
        ]

    def _read_embedding(self, embedding: probe_pb2.Embedding) -> Vectors | MienError:
        try:
            return messages.read_embedding(embedding, self._bundle)
        except MienError as error:
            return error


def _wanted(
    request: gallery_pb2.EnrollSampleRequest, watch: Watch | None, vector: Vectors | MienError
) -> Wanted | MienError:
    if isinstance(vector, MienError):
        return vector
    content = request.image.content if request.HasField("image") else request.embedding.f32le
    digest = hashlib.sha256(content).hexdigest()
    about = gallery_messages.read_about(request)
    item = Enrolment(request.subject_id, vector, digest, about, request.request_id)
    return Wanted(item, watch, request.validate_only)


def _outcome(kept: Enrolled | MienError, near: Near | MienError | None) -> Outcome:
    if isinstance(kept, MienError):
        return kept
    return gallery_pb2.EnrollSampleResponse(
        sample=gallery_messages.write_sample(kept.sample),
        already_existed=kept.already_existed,
        revision=kept.revision,
        near_subjects=near if isinstance(near, list) else (),
    )
