"""How usable a face is: measures after ISO/IEC 29794-5, by simpler means, and their limits.

The standard grades faces by, among others, the distance between the eyes, sharpness, luminance
(mean, dispersion), head pose and the detector's confidence; its own implementation computes some
of them with networks. Here each is a formula over the picture and five landmarks, so the limits
are ours. They were set on 640 photographs (up to 1,200 pixels), 1,500 crops and 1,000 images of
LFW, all of research collections: `WARN` lies near the 1st or 99th percentile there, `REFUSE` past
the extremes of faces that a network still tells apart. docs/photographs.md has the percentiles.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from mien.errors import (
    ExtremePose,
    FaceRefused,
    FaceTooSmall,
    LowBrightness,
    LowConfidence,
    LowSharpness,
)
from mien.vision.alignment import TEMPLATE_SIDE, Landmarks, align
from mien.vision.faces import Face
from mien.vision.images import RGB

_INNER = np.s_[16:100, 16:96]
"""Of an aligned crop: brow to chin, without background and without black from outside."""


@dataclass(frozen=True)
class Quality:
    """What was measured of one face."""

    score: float
    """How sure the detector is, 0 to 1 (29794-5: face detection confidence)."""
    min_side_px: float
    """The box's shorter side, in pixels of the photograph."""
    eye_distance_px: float
    """Between the eyes' centres, in pixels of the photograph (29794-5: inter-eye distance)."""
    sharpness: float
    """Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", ICPR 2000) of the luma of the aligned crop of 112 pixels: a small face that would
    be enlarged is not sharp."""
    brightness: float
    """Mean luma (ITU-R BT.601) of the face, 0 to 255 (29794-5: luminance mean)."""
    contrast: float
    """Standard deviation of that luma (29794-5: luminance variance)."""
    yaw: float
    """How far the nose is from the middle of eyes and mouth along the eyes' line, in eye distances;
    0 is frontal, beyond about 0.5 the nose hides an eye. Positive: towards the picture's right."""
    pitch: float
    """Where the nose is on the way from the eyes to the mouth, 0 to 1; 0.59 is usual with YuNet,
    smaller is looking up."""
    roll: float
    """Degrees that the eyes' line is turned clockwise; aligning undoes it."""


@dataclass(frozen=True)
class Limits:
    """What a face must have. A measure equal to its limit passes."""

    score: float
    min_side_px: float
    sharpness: float
    brightness: tuple[float, float]
    contrast: float
    yaw: float
    """Either way."""
    pitch: tuple[float, float]
    roll: float
    """Either way."""


REFUSE = Limits(
    score=0.7,  # the least of 3,689 faces that were looked for: 0.74
    min_side_px=24,  # a third of the pixels that a crop of 112 has of it; none measured below 40
    sharpness=10,  # the least measured: 14.6 (LFW), 17.1 (crops)
    brightness=(25, 235),  # measured: 31.7 to 221
    contrast=8,  # the least measured: 12.5
    yaw=0.75,  # the 99th percentile of photographs is 0.66: beyond it, profiles
    pitch=(0.3, 0.85),  # measured: 0.38 to 0.76
    roll=60,  # the detector fails beyond; measured: 31 at most
)
"""What is refused. A template that is enrolled from such a face would answer for nobody."""

WARN = Limits(
    score=0.87,  # 0.5th percentile of crops
    min_side_px=75,  # of the photograph's pixels, as many as the crop of 112 has of the face
    sharpness=35,  # 1st percentile of LFW 33, of crops 38
    brightness=(60, 190),  # 1st and 99th percentile of photographs: 61, 187
    contrast=23,  # 1st percentile of crops and of LFW: 23.5
    yaw=0.4,  # 99th percentile of crops 0.37, of LFW 0.42
    pitch=(0.45, 0.71),  # 1st and 99th percentile of photographs: 0.45, 0.72
    roll=22,  # 99th percentile of photographs
)
"""What is told of."""


def measure(picture: RGB, face: Face, landmarks: Landmarks, enlarged: float = 1.0) -> Quality:
    """Measure a face where it lies in an upright uint8 [H, W, 3] RGB picture.

    `enlarged` is how many pixels of the photograph one of this picture stands for, along one axis,
    if it was decoded at a reduced scale.
    """
    aligned = align(picture, landmarks, TEMPLATE_SIDE, TEMPLATE_SIDE)
    luma = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY)[_INNER]
    yaw, pitch, roll = pose(landmarks)
    eyes = float(np.hypot(*(landmarks[1] - landmarks[0])))
    return Quality(
        score=face.score,
        min_side_px=min(face.box.width, face.box.height) * enlarged,
        eye_distance_px=eyes * enlarged,
        sharpness=float(cv2.Laplacian(luma, cv2.CV_64F).var()),
        brightness=float(luma.mean()),
        contrast=float(luma.std()),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
    )


def pose(landmarks: Landmarks) -> tuple[float, float, float]:
    """Yaw, pitch and roll as `Quality` has them; infinite where eyes or mouth coincide."""
    right, left, nose, *mouth = np.asarray(landmarks, np.float64)
    across = left - right
    distance = float(np.hypot(*across))
    roll = math.degrees(math.atan2(across[1], across[0]))
    if distance == 0:
        return math.inf, math.inf, roll
    along = across / distance
    down = np.array([-along[1], along[0]])
    eyes, lips = (right + left) / 2, (mouth[0] + mouth[1]) / 2
    height = float((lips - eyes) @ down)
    yaw = float((nose - (eyes + lips) / 2) @ along) / distance
    return yaw, float((nose - eyes) @ down) / height if height else math.inf, roll


def faults(quality: Quality, limits: Limits) -> tuple[FaceRefused, ...]:
    """Everything that misses the limits, each as the error that would refuse it."""
    return tuple(_faults(quality, limits))


def _faults(quality: Quality, limits: Limits) -> Iterator[FaceRefused]:
    if quality.score < limits.score:
        yield LowConfidence(
            f"the detector is {quality.score:.2f} sure of the face, less than {limits.score:g}; "
            "take a picture that shows it whole"
        )
    if quality.min_side_px < limits.min_side_px:
        yield FaceTooSmall(
            f"the face is {quality.min_side_px:.0f} pixels wide, fewer than "
            f"{limits.min_side_px:g}; take a picture from nearer or of more pixels"
        )
    yield from _turned(quality, limits)
    if quality.sharpness < limits.sharpness:
        yield LowSharpness(
            f"the face has a sharpness of {quality.sharpness:.0f}, less than "
            f"{limits.sharpness:g}; take a picture in focus"
        )
    yield from _lit(quality, limits)


def _turned(quality: Quality, limits: Limits) -> Iterator[FaceRefused]:
    lowest, highest = limits.pitch
    if not abs(quality.yaw) <= limits.yaw:
        which = f"to a side (yaw {quality.yaw:.2f}, at most {limits.yaw:g} either way)"
    elif not lowest <= quality.pitch <= highest:
        which = f"up or down (pitch {quality.pitch:.2f}, from {lowest:g} to {highest:g})"
    elif not abs(quality.roll) <= limits.roll:
        which = f"upside (roll {quality.roll:.0f}°, at most {limits.roll:g} either way)"
    else:
        return
    yield ExtremePose(f"the face is turned too far {which}; take a picture from the front")


def _lit(quality: Quality, limits: Limits) -> Iterator[FaceRefused]:
    darkest, brightest = limits.brightness
    if not darkest <= quality.brightness <= brightest:
        yield LowBrightness(
            f"the face has a mean brightness of {quality.brightness:.0f}, not from {darkest:g} to "
            f"{brightest:g}; take a picture in better light"
        )
    elif quality.contrast < limits.contrast:
        yield LowBrightness(
            f"the face has a contrast of {quality.contrast:.1f}, less than {limits.contrast:g}; "
            "take a picture in better light"
        )
