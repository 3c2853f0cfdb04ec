"""Picture bytes to judged crops: the one way, for serving and for training.

bytes --decode--> upright RGB --detect--> faces --select--> the ones meant --judge, align--> crops
"""

from dataclasses import dataclass

from mien import deadline, stages
from mien.errors import FaceRefused
from mien.vision.alignment import align, scale_of, similarity, template
from mien.vision.crops import Alignment, crop
from mien.vision.faces import Detector, Face, Middle, WholePicture
from mien.vision.images import DEFAULT_LIMITS, RGB, Decoded, Limits, decode_reduced
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

    def error(self) -> FaceRefused:
        """The first fault, with the reasons and the sentences of all."""
        told = ". Also, ".join(map(str, self.faults))
        return type(self.faults[0])(told, [each.reason for each in self.faults])


@dataclass(frozen=True)
class Cuts:
    """One picture's crops, the largest face first, at least one; and the faces of no use."""

    taken: tuple[Cut, ...]
    size: tuple[int, int]
    """Width and height of the upright picture, in full."""
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
        self.size = height, width
        self._height, self._width = height, width
        self._detector = WholePicture() if alignment == "none" else detector
        self._limits = limits

    def cut(self, content: bytes, multi_face: MultiFace, told: Detector | None = None) -> Cuts:
        """The crops of one picture's faces. Its stages (`mien.stages`): decode, detect, align.

        `told` is what the caller knows of this one, instead of the detector: `WholePicture`,
        `InBox` or `AtLandmarks`, in pixels of the full, upright picture.

        Raises ImageUndecodable, ImageTooLarge, NoFace, MultipleFaces, what is wrong with the
        largest face if none is of use, and DeadlineExceeded.
        """
        detector = told or self._detector
        if isinstance(detector, WholePicture | Middle):
            return self._unaligned(content, detector)
        decoded = self._decoded(content, DECODED_SIDE if told is None else None)
        deadline.check("find the faces")
        with stages.timed("detect"):
            found = [face.moved(decoded.reduction) for face in detector.detect(decoded.pixels)]
        faces = select(found, multi_face)
        if any(self._few_pixels(decoded, face) for face in faces):
            decoded = self._decoded(content, None)
        with stages.timed("align"):
            return _sorted_out([self._judged(decoded, face) for face in faces], decoded.size)

    def _unaligned(self, content: bytes, detector: WholePicture | Middle) -> Cuts:
        with stages.timed("decode"):
            decoded = decode_reduced(content, None, self._limits)
            (face,) = detector.detect(decoded.pixels)
            x, y, width, height = map(int, face.box)
            part = decoded.pixels[y : y + height, x : x + width]
            cut = Cut(crop(part, self._height, self._width), face, None)
        return Cuts((cut,), decoded.size)

    def _decoded(self, content: bytes, side: int | None) -> Decoded:
        with stages.timed("decode"):
            return decode_reduced(content, side, self._limits)

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


def _sorted_out(outcomes: list[Cut | Refused], size: tuple[int, int]) -> Cuts:
    taken = tuple(outcome for outcome in outcomes if isinstance(outcome, Cut))
    refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Refused))
    if not taken:
        raise refused[0].error()
    return Cuts(taken, size, refused)
