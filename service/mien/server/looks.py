"""What pictures show, as the gallery keeps it and as the contract says it."""

from dataclasses import dataclass

from mien.errors import FaceRefused
from mien.gallery.records import Quality
from mien.matching.metrics import Vectors
from mien.model.pipeline import Embedded, Faces
from mien.server import gallery_messages, messages
from mien.v1 import match_pb2, probe_pb2
from mien.vision import quality as measured
from mien.vision.cropper import Refused
from mien.vision.faces import Box
from mien.vision.quality import WARN, faults

BRIGHTEST = 255
"""Of the measure; the contract's is in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Look:
    """What is compared and searched for."""

    vectors: Vectors
    """float32 [n, D]: one of a face, of a picture that is a crop and of an embedding; every one of
    a subject."""
    box: probe_pb2.Box | None = None
    """None: it is no face of a photograph."""
    quality: Quality | None = None
    """None: nothing was measured."""

    def write_quality(self) -> probe_pb2.Quality | None:
        return None if self.quality is None else gallery_messages.write_quality(self.quality)


def looks_of(faces: Faces) -> list[Look]:
    """Of one picture's faces, the largest first."""
    return [look_of(face, faces.size) for face in faces.embedded]


def write_refused(refused: Refused, size: tuple[int, int]) -> match_pb2.IdentifyResponse.Refused:
    """A face of a picture of that width and height."""
    quality = _quality(refused.quality, faults(refused.quality, WARN))
    return match_pb2.IdentifyResponse.Refused(
        box=_box(refused.face.box, size),
        quality=gallery_messages.write_quality(quality),
        rejected=messages.write_rejection(refused.error()),
    )


def look_of(face: Embedded, size: tuple[int, int]) -> Look:
    """Of a face of a picture of that width and height."""
    vectors = face.vector[None]
    if face.quality is None:
        return Look(vectors)
    return Look(vectors, _box(face.face.box, size), _quality(face.quality, face.warnings))


def _quality(quality: measured.Quality, warnings: tuple[FaceRefused, ...]) -> Quality:
    return Quality(
        score=quality.score,
        sharpness=quality.sharpness,
        brightness=quality.brightness / BRIGHTEST,
        min_side_px=quality.min_side_px,
        warnings=tuple(dict.fromkeys(each.reason for each in warnings)),
    )


def _box(box: Box, size: tuple[int, int]) -> probe_pb2.Box:
    """In shares; a face at the edge may reach beyond it."""
    width, height = size
    return probe_pb2.Box(
        left=box.x / width, top=box.y / height, width=box.width / width, height=box.height / height
    )
