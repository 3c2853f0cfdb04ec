"""Where the faces of a picture are: what finds them, behind one small interface.

`mien.vision.yunet.YuNet` looks for them; the detectors here are told. `WholePicture` is "none":
the picture is a crop already, of a face or of anything else that two pictures may show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from mien.errors import InvalidRequest
from mien.vision.alignment import TEMPLATE, TEMPLATE_SIDE, Landmarks, scale_of, similarity
from mien.vision.images import RGB


class Box(NamedTuple):
    """In pixels of the upright picture: the upper left corner, and the extent."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        shared = Box(0, 0, width, height).area
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a picture; equal to itself alone."""

    box: Box
    landmarks: Landmarks | None
    """float32 [5, 2], in the order of `mien.vision.alignment`; None: there is nothing to align."""
    score: float
    """How sure the detector is, 0 to 1; 1 where a caller said so."""

    def moved(self, scale: float, x: float = 0, y: float = 0) -> "Face":
        """In a picture of so many times the pixels, with its first pixel at (x, y)."""
        left, top, width, height = self.box
        marks = self.landmarks
        shift = np.array([x, y], np.float32)
        return Face(
            Box(left * scale + x, top * scale + y, width * scale, height * scale),
            None if marks is None else ((marks + 0.5) * scale - 0.5 + shift).astype(np.float32),
            self.score,
        )


class Detector(Protocol):
    """Finds the faces of a picture. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """Which one it is; with a network, the beginning of its SHA-256 too."""

    def detect(self, picture: RGB) -> list[Face]:
        """The faces of an upright uint8 [H, W, 3] RGB picture, the largest first."""


class WholePicture:
    """The detector "none": the whole picture is the crop, whatever it shows."""

    name = "none"

    def detect(self, picture: RGB) -> list[Face]:
        return [Face(Box(0, 0, picture.shape[1], picture.shape[0]), None, 1.0)]


@dataclass(frozen=True)
class Middle:
    """No detector: the crop is the middle of the picture, upright and square.

    What pictures would give if nobody looked where the face is; to be held against.
    """

    share: float
    """Of the picture's shorter side, in (0, 1]."""
    name = "middle"

    def detect(self, picture: RGB) -> list[Face]:
        height, width = picture.shape[:2]
        side = max(1, round(self.share * min(height, width)))
        return [Face(Box((width - side) // 2, (height - side) // 2, side, side), None, 1.0)]


@dataclass(frozen=True)
class AtLandmarks:
    """A caller knows the five landmarks of the one face, in pixels of the upright picture."""

    landmarks: Landmarks
    name = "landmarks"

    def detect(self, picture: RGB) -> list[Face]:
        """One face; its box is where the crop of the template lies, without its turn.

        Raises InvalidRequest: not five finite points, or they are all in one place.
        """
        marks = np.asarray(self.landmarks, np.float32)
        if marks.shape != TEMPLATE.shape:
            raise InvalidRequest(
                f"landmarks of shape {marks.shape}; a face has five of x and y: right eye, left "
                "eye, nose, right and left mouth corner"
            )
        to_crop = similarity(marks, TEMPLATE)
        side = TEMPLATE_SIDE / scale_of(to_crop)
        middle = np.array([(TEMPLATE_SIDE - 1) / 2] * 2) - to_crop[:, 2]
        x, y = np.linalg.solve(to_crop[:, :2], middle)
        return [Face(Box(x - side / 2, y - side / 2, side, side), marks, 1.0)]


@dataclass(frozen=True)
class InBox:
    """A caller knows the box of the one face; another detector finds its landmarks there."""

    box: Box
    detector: Detector
    name = "box"

    MARGIN = 0.5
    """Of the box's sides, looked at around it: detectors learned from faces with surroundings."""
    LEAST_OVERLAP = 0.3
    """Intersection over union with the box; below it is another face. Boxes of two detectors
    agree by 0.5 and more (the criterion of WIDER FACE, Yang et al. 2016); of people, by less."""

    def detect(self, picture: RGB) -> list[Face]:
        """The face that overlaps the box the most, or none.

        Raises InvalidRequest: the box is empty or outside the picture.
        """
        left, top, right, bottom = self._region(picture)
        if right <= left or bottom <= top or not self.box.area > 0:
            height, width = picture.shape[:2]
            raise InvalidRequest(
                f"the box {tuple(self.box)} has no pixel of the picture of {width}×{height}"
            )
        region = np.ascontiguousarray(picture[top:bottom, left:right])
        found = [face.moved(1, left, top) for face in self.detector.detect(region)]
        best = max(found, key=lambda face: face.box.overlap(self.box), default=None)
        if best is None or best.box.overlap(self.box) < self.LEAST_OVERLAP:
            return []
        return [best]

    def _region(self, picture: RGB) -> tuple[int, int, int, int]:
        if not np.isfinite(self.box).all():
            return 0, 0, 0, 0
        x, y, width, height = self.box
        return (
            int(max(0, x - self.MARGIN * width)),
            int(max(0, y - self.MARGIN * height)),
            int(min(picture.shape[1], x + (1 + self.MARGIN) * width + 1)),
            int(min(picture.shape[0], y + (1 + self.MARGIN) * height + 1)),
        )


@dataclass(frozen=True)
class InShares:
    """As `InBox`; the box is in shares of the upright picture's width and height."""

    box: Box
    detector: Detector
    name = "box"

    def detect(self, picture: RGB) -> list[Face]:
        """As `InBox.detect`."""
        height, width = picture.shape[:2]
        left, top, across, down = self.box
        box = Box(left * width, top * height, across * width, down * height)
        return InBox(box, self.detector).detect(picture)


def largest_first(faces: Sequence[Face]) -> list[Face]:
    """By the area of the box; of two alike the one whose detector is surer."""
    return sorted(faces, key=lambda face: (face.box.area, face.score), reverse=True)
