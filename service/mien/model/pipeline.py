"""Picture bytes to unit vectors: the one path, for serving, enrolling, evaluating and the CLI.

bytes --cut--> uint8 crops of faces --embed--> unit vectors

`mien.vision.cropper` cuts: it decodes, and for an aligned bundle finds, selects, judges and aligns
the faces. For a bundle of alignment "none" the whole picture is the crop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from mien import deadline, stages
from mien.errors import FaceRefused, InvalidArgument
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.vision.cropper import Cropper, Cuts, Refused
from mien.vision.faces import Detector, Face
from mien.vision.images import DEFAULT_LIMITS, RGB, Limits
from mien.vision.quality import Quality
from mien.vision.selection import MultiFace, OneFace
from mien.vision.yunet import detector_for


@dataclass(frozen=True)
class Embedded:
    """A face of a picture and its vector."""

    vector: Vectors
    """float32 [D], of unit norm."""
    face: Face
    """In pixels of the upright picture; the whole picture where it was taken for a crop."""
    quality: Quality | None
    """None: the picture was taken for a crop, and nothing was measured."""
    warnings: tuple[FaceRefused, ...]
    """What is near its limit; each has a `reason`."""


@dataclass(frozen=True)
class Faces:
    """One picture's faces, the largest first, at least one; and the selected ones of no use."""

    embedded: tuple[Embedded, ...]
    refused: tuple[Refused, ...]
    size: tuple[int, int]
    """Width and height of the upright picture, in which the faces' boxes are."""


Told: TypeAlias = Detector | InvalidArgument | None
"""What a caller says of a picture, if anything, or what is wrong with that."""


class Engine(Protocol):
    """What embeds crops: the network itself, or what gathers those of many callers for it."""

    def admit(self, crops: int) -> None:
        """Raise QueueFull if so many would not be taken now, before anything is spent on them."""

    def embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 [B, H, W, 3] RGB crops to float32 [B, D] unit vectors."""


class Pipeline:
    """A bundle at work. Safe to call from several threads.

    Pictures are decoded and cropped in the thread that calls; `engine` embeds the crops. A caller's
    deadline (`mien.deadline`) is read before each: then DeadlineExceeded or CallerGone is raised.
    """

    def __init__(  # noqa: PLR0913 - how pictures become crops, and crops vectors
        self,
        bundle: Bundle,
        threads: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        *,
        detector: Detector | None = None,
        multi_face: OneFace = "reject",
        engine: Engine | None = None,
    ) -> None:
        """`detector` finds faces for an aligned bundle: YuNet, from the file that is found, if left
        out; `WholePicture()` where all pictures are crops that were aligned before. `multi_face`
        is the policy of whoever names none.

        Raises BundleInvalid as `Embedder.of`, and DetectorMissing.
        """
        self.bundle = bundle
        spec = bundle.manifest.input
        self.detector = detector or detector_for(spec.alignment)
        self._engine: Engine = engine or Embedder.of(bundle, threads)
        self._cropper = Cropper(
            spec.crop_height, spec.crop_width, spec.alignment, self.detector, limits
        )
        self._multi_face: OneFace = multi_face

    def embed(self, picture: bytes) -> Vectors:
        """One picture's float32 [D] unit vector. Raises what is wrong with the picture."""
        (face,) = self.faces(picture).embedded
        return face.vector

    def embed_each(self, pictures: Sequence[bytes]) -> list[Vectors | InvalidArgument]:
        """Each picture's vector, or what is wrong with it, in order; one network call for all."""
        return [
            outcome if isinstance(outcome, InvalidArgument) else outcome.embedded[0].vector
            for outcome in self.faces_each(pictures)
        ]

    def faces(
        self,
        picture: bytes,
        multi_face: MultiFace | None = None,
        told: Detector | None = None,
    ) -> Faces:
        """One picture's faces, by a policy; one face unless that is "all".

        `told` is what the caller knows of this picture, instead of the detector: it is a crop
        (`WholePicture`), or where the face is (`InBox`, `AtLandmarks`).

        Raises what is wrong with the picture, as `Cropper.cut`.
        """
        self._engine.admit(1)
        cuts = self._cut(picture, multi_face, told)
        return _faces(cuts, self._embed([cut.crop for cut in cuts.taken]))

    def faces_each(
        self,
        pictures: Sequence[bytes],
        multi_face: MultiFace | None = None,
        told: Sequence[Told] | None = None,
    ) -> list[Faces | InvalidArgument]:
        """Each picture's faces, or what is wrong with it, in order; one network call for all.

        `told` is of each picture, as in `faces`; what is wrong with it is then the outcome.
        """
        self._engine.admit(len(pictures))
        outcomes: list[Cuts | InvalidArgument] = []
        for picture, known in zip(pictures, told or repeat(None, len(pictures)), strict=True):
            if isinstance(known, InvalidArgument):
                outcomes.append(known)
                continue
            try:
                outcomes.append(self._cut(picture, multi_face, known))
            except InvalidArgument as error:
                outcomes.append(error)
        return self._embedded(outcomes)

    def _cut(self, picture: bytes, multi_face: MultiFace | None, told: Detector | None) -> Cuts:
        deadline.check("decode the picture")
        return self._cropper.cut(picture, multi_face or self._multi_face, told)

    def _embedded(
        self, outcomes: Sequence[Cuts | InvalidArgument]
    ) -> list[Faces | InvalidArgument]:
        crops = [cut.crop for each in outcomes if isinstance(each, Cuts) for cut in each.taken]
        vectors = self._embed(crops)
        return [_faces(each, vectors) if isinstance(each, Cuts) else each for each in outcomes]

    def _embed(self, crops: Sequence[RGB]) -> Iterator[Vectors]:
        if not crops:
            return iter(())
        deadline.check("embed")
        with stages.timed("embed"):
            return iter(self._engine.embed(np.array(crops)))


def _faces(cuts: Cuts, vectors: Iterator[Vectors]) -> Faces:
    """Takes as many vectors as there are crops."""
    taken = zip(cuts.taken, islice(vectors, len(cuts.taken)), strict=True)
    embedded = [Embedded(vector, cut.face, cut.quality, cut.warnings) for cut, vector in taken]
    return Faces(tuple(embedded), cuts.refused, cuts.size)
