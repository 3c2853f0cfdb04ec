"""Picture bytes to judged crops: the one way, for serving and for training.

bytes --decode--> upright RGB --detect--> faces --select--> the ones meant --judge, align--> crops
"""

from dataclasses import dataclass

from mien.errors import FaceRefused
from mien.vision.alignment import align, scale_of, similarity, template
from mien.vision.crops import Alignment, crop
from mien.vision.faces import Detector, Face, WholePicture
from mien.vision.images import DEFAULT_LIMITS, RGB, Decoded, Limits, decode, decode_reduced
from mien.vision.quality import REFUSE, WARN, Quality, faults, measure
from mien.vision.selection import MultiFace, select
from mien.vision.yunet import SIDE

DECODED_SIDE = 2 * SIDE
"""Longer side that a photograph is decoded to at least: twice what the detector sees, so that
most crops find their pixels in it, and one decoding is enough."""


@dataclass(frozen=True)
class Cut:
    """A crop, and the face of the picture that it shows."""

    crop: RGB
    """uint8 [height, width, 3]."""
    face: Face
    """In pixels of the upright picture, in full."""
    quality: Quality | None
    """None: the picture was said to be a crop, and nothing was measured."""
    warnings: tuple[FaceRefused, ...] = ()
    """What is near its limit, as the errors that would refuse it."""


@dataclass(frozen=True)
class Refused:
    """A face that was selected and is of no use, and everything that is wrong with it."""

    face: Face
    quality: Quality
    faults: tuple[FaceRefused, ...]


@dataclass(frozen=True)
class Cuts:
    """One picture's crops, the largest face first, at least one; and the faces of no use."""

    taken: tuple[Cut, ...]
    refused: tuple[Refused, ...] = ()


class Cropper:
    """Makes crops of one size and alignment. Safe to call from several threads.

    With alignment "none" the whole picture is the crop, whatever the detector. With "arcface-5" and
    the detector `WholePicture`, the pictures are crops that were aligned before.
    """

    def __init__(
        self,
        height: int,
        width: int,
        alignment: Alignment,
        detector: Detector,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._height, self._width = height, width
        self._detector = WholePicture() if alignment == "none" else detector
        self._limits = limits

    def cut(self, content: bytes, multi_face: MultiFace, told: Detector | None = None) -> Cuts:
        """The crops of one picture's faces.

        `told` is what the caller knows of this one, instead of the detector: `WholePicture`,
        `InBox` or `AtLandmarks`, in pixels of the full, upright picture.

        Raises ImageUndecodable, ImageTooLarge, NoFace, MultipleFaces, and the first fault of the
        largest face if none is of use.
        """
        detector = told or self._detector
        if isinstance(detector, WholePicture):
            picture = decode(content, self._limits)
            (whole,) = detector.detect(picture)
            return Cuts((Cut(crop(picture, self._height, self._width), whole, None),))
        side = DECODED_SIDE if told is None else None
        decoded = decode_reduced(content, side, self._limits)
        found = [face.moved(decoded.reduction) for face in detector.detect(decoded.pixels)]
        faces = select(found, multi_face)
        if any(self._few_pixels(decoded, face) for face in faces):
            decoded = Decoded(decode(content, self._limits))
        return _sorted_out([self._judged(decoded, face) for face in faces])

    def _few_pixels(self, decoded: Decoded, face: Face) -> bool:
        """Whether the crop would be enlarged from what was decoded at a reduced scale."""
        if decoded.reduction == 1 or face.landmarks is None:
            return False
        transform = similarity(face.landmarks, template(self._height, self._width))
        return scale_of(transform) * decoded.reduction > 1

    def _judged(self, decoded: Decoded, face: Face) -> Cut | Refused:
        seen = face.moved(1 / decoded.reduction)
        if seen.landmarks is None:
            raise TypeError(f"{self._detector.name} gives no landmarks; a crop is aligned by them")
        quality = measure(decoded.pixels, seen, seen.landmarks, decoded.reduction)
        if found := faults(quality, REFUSE):
            return Refused(face, quality, found)
        aligned = align(decoded.pixels, seen.landmarks, self._height, self._width)
        return Cut(aligned, face, quality, faults(quality, WARN))


def _sorted_out(outcomes: list[Cut | Refused]) -> Cuts:
    taken = tuple(outcome for outcome in outcomes if isinstance(outcome, Cut))
    refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Refused))
    if not taken:
        raise refused[0].faults[0]
    return Cuts(taken, refused)
