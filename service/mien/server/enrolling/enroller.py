"""Samples into galleries: one, or a group at once."""

import hashlib
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mien.errors import (
    DuplicateOtherSubject,
    InvalidArgument,
    InvalidRequest,
    MienError,
    NotCalibrated,
    UnsupportedOperatingPoint,
)
from mien.gallery.galleries import Galleries
from mien.gallery.ids import check_id
from mien.gallery.records import About, Enrolled, Enrolment
from mien.matching.decision import TargetFMR
from mien.matching.metrics import Vectors
from mien.server import gallery_messages, messages
from mien.server.enrolling.neighbours import Group, Near, Neighbours, Watch, read_watch, refused
from mien.server.looks import Look
from mien.server.probes import Probes, read_one_face
from mien.v1 import gallery_pb2, match_pb2
from mien.vision.selection import OneFace

Outcome: TypeAlias = gallery_pb2.EnrollSampleResponse | MienError
Named: TypeAlias = list[match_pb2.Candidate]

_REFUSING = (
    DuplicateOtherSubject,
    InvalidArgument,
    NotCalibrated,
    UnsupportedOperatingPoint,
)
"""What a look for others may find wrong with one of a group."""


@dataclass(frozen=True)
class Wanted:
    """A sample that was read, and how to look out for others who are too alike."""

    item: Enrolment
    watch: Watch | None
    validate_only: bool


@dataclass(frozen=True)
class _Asked:
    """What a request says beside its picture or vector."""

    about: About
    watch: Watch | None


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
        asked = [self._checked(request) for request in requests]
        sound = [at for at, each in enumerate(asked) if not isinstance(each, MienError)]
        looks = dict(zip(sound, self._looks([requests[at] for at in sound]), strict=True))
        return [
            each if isinstance(each, MienError) else _wanted(request, each, looks[at])
            for at, (request, each) in enumerate(zip(requests, asked, strict=True))
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
        near: dict[int, Named | MienError],
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

    def _look(self, gallery_id: str, wanted: Sequence[Wanted]) -> dict[int, Named | MienError]:
        """Others who are too alike, by position, or why a sample is refused."""
        if all(each.watch is None for each in wanted):
            return {}
        group = self._neighbours.of(gallery_id, [each.item for each in wanted])
        near: dict[int, Near] = {}
        refusals: dict[int, MienError] = {}
        before: list[int] = []
        for at, each in enumerate(wanted):
            if each.watch is not None:
                try:
                    near[at] = self._near(group, at, each.watch, before)
                except _REFUSING as error:
                    refusals[at] = error
            if not each.validate_only and at not in refusals:
                before.append(at)
        return dict(zip(near, group.written(list(near.values())), strict=True)) | refusals

    def _near(self, group: Group, at: int, watch: Watch, before: Sequence[int]) -> Near:
        """Raises DuplicateOtherSubject, and as `Group.near`."""
        item, near = group.items[at], group.near(at, watch, before)
        if near.matches and watch.refuses and not self._is_kept(group.gallery_id, item):
            raise refused(item, near.matches, watch)
        return near

    def _is_kept(self, gallery_id: str, item: Enrolment) -> bool:
        """It was enrolled before: repeating that is answered as it was, whoever came since."""
        (outcome,) = self._galleries.enroll_each(
            gallery_id, [item], self._bundle.manifest.fingerprint, validate_only=True
        )
        return isinstance(outcome, Enrolled) and outcome.sample.sample_id != ""

    def _checked(self, request: gallery_pb2.EnrollSampleRequest) -> _Asked | MienError:
        """Whatever can be refused without embedding."""
        try:
            check_id("subject", request.subject_id)
            if request.WhichOneof("source") is None:
                raise InvalidRequest("the sample is empty; give it an image or an embedding")
            read_one_face(request.multi_face)
            about = gallery_messages.read_about(request)
            return _Asked(about, read_watch(request, self._default))
        except MienError as error:
            return error

    def _looks(self, requests: Sequence[gallery_pb2.EnrollSampleRequest]) -> list[Look | MienError]:
        pictures: dict[OneFace, list[int]] = {}
        for at, request in enumerate(requests):
            if request.HasField("image"):
                pictures.setdefault(read_one_face(request.multi_face), []).append(at)
        found: dict[int, Look | MienError] = {}
        for policy, places in pictures.items():
            images = [requests[at].image for at in places]
            found |= zip(places, self._probes.embed_each(images, policy), strict=True)
        others = [at for at in range(len(requests)) if at not in found]
        embeddings = [requests[at].embedding for at in others]
        vectors = messages.read_embeddings(embeddings, self._bundle)
        found |= zip(others, map(_look_of, vectors), strict=True)
        return [found[at] for at in range(len(requests))]


def _look_of(vector: Vectors | MienError) -> Look | MienError:
    return vector if isinstance(vector, MienError) else Look(vector[None])


def _wanted(
    request: gallery_pb2.EnrollSampleRequest, asked: _Asked, look: Look | MienError
) -> Wanted | MienError:
    if isinstance(look, MienError):
        return look
    about = replace(asked.about, quality=look.quality)
    item = Enrolment(
        request.subject_id, look.vectors[0], _digest(request), about, request.request_id
    )
    return Wanted(item, asked.watch, request.validate_only)


def _digest(request: gallery_pb2.EnrollSampleRequest) -> str:
    """Of the content; with a target, another face of the same picture is other content."""
    if not request.HasField("image"):
        return hashlib.sha256(request.embedding.f32le).hexdigest()
    digest = hashlib.sha256(request.image.content)
    if request.image.HasField("target"):
        box = request.image.target
        digest.update(struct.pack("<4f", box.left, box.top, box.width, box.height))
    return digest.hexdigest()


def _outcome(kept: Enrolled | MienError, near: Named | MienError | None) -> Outcome:
    if isinstance(kept, MienError):
        return kept
    return gallery_pb2.EnrollSampleResponse(
        sample=gallery_messages.write_sample(kept.sample),
        already_existed=kept.already_existed,
        revision=kept.revision,
        near_subjects=near if isinstance(near, list) else (),
    )
