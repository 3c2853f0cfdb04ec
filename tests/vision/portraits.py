"""Photographs made by code, and a detector that was told what is in them.

A portrait is a smooth pattern with a person's colours at a known place; nothing in it is a face.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.vision.alignment import TEMPLATE, Landmarks
from mien.vision.faces import Box, Face, largest_first
from tests.faces import picture

FACE = 79 / 112
"""Of the template crop's side, the shorter side of YuNet's box."""
BACKGROUND = 90
"""Of a photograph; a portrait has no pixel of this grey."""


def face(x: float, y: float, scale: float = 2.0, degrees: float = 0.0, score: float = 0.95) -> Face:
    """Where a template of so many times 112 pixels is centred at (x, y)."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    marks = scale * (TEMPLATE - 55.5) @ turn.T + [x, y]
    side = 112 * FACE * scale
    box = Box(x - side / 2, y - side / 2, side, side)
    return Face(box, marks.astype(np.float32), score)


def profile(x: float, y: float, scale: float = 2.0) -> Face:
    """A face whose nose hides an eye."""
    marks: Landmarks = TEMPLATE.copy()
    marks[2, 0] = TEMPLATE[0, 0] - 12
    seen = face(x, y, scale)
    return Face(seen.box, np.asarray(scale * (marks - 55.5) + [x, y], np.float32), seen.score)


def photograph(
    *faces: Face, height: int = 480, width: int = 640, person: int = 1, blur: float = 0
) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]; each face is the pattern of a person, numbered from `person`."""
    scene = np.full((height, width, 3), BACKGROUND, np.uint8)
    for number, each in enumerate(faces, start=person):
        look = cv2.resize(picture(number, 0), (112, 112), interpolation=cv2.INTER_CUBIC)
        if blur:
            look = cv2.GaussianBlur(look, (0, 0), blur)
        assert each.landmarks is not None
        place, _ = cv2.estimateAffinePartial2D(TEMPLATE, each.landmarks)
        inside = cv2.warpAffine(np.ones((112, 112), np.uint8), place, (width, height)) > 0
        scene[inside] = cv2.warpAffine(look, place, (width, height))[inside]
    return scene


def file(pixels: NDArray[np.uint8], form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def folder_of_photographs(folder: Path, people: int, shots: int) -> Path:
    """Write `<folder>/p<n>/<shot>.png`, each with the person's portrait somewhere."""
    for person in range(people):
        (folder / f"p{person}").mkdir(parents=True)
        for shot in range(shots):
            dice = np.random.default_rng([person, shot, 5])
            seen = face(dice.uniform(200, 440), dice.uniform(180, 300), dice.uniform(1, 3))
            content = file(photograph(seen, person=person))
            (folder / f"p{person}" / f"{shot}.png").write_bytes(content)
    return folder


@dataclass
class Told:
    """A detector that knows the faces of the full picture, and notes what it was shown."""

    faces: tuple[Face, ...]
    width: int = 640
    name: str = "told"

    def __post_init__(self) -> None:
        self.shown: list[tuple[int, int]] = []

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        self.shown.append((picture.shape[0], picture.shape[1]))
        return [face.moved(picture.shape[1] / self.width) for face in self.faces]


class Patches:
    """A detector that looks: it finds upright portraits, also in a part of a photograph."""

    name = "patches"

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        inside = (picture != BACKGROUND).any(axis=2).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(inside)
        return largest_first([self._face(*map(int, stats[at][:4])) for at in range(1, count)])

    def _face(self, left: int, top: int, width: int, height: int) -> Face:
        side = max(width, height)
        return face(left + (width - 1) / 2, top + (height - 1) / 2, side / 112)
