"""Five landmarks to a crop in which eyes, nose and mouth lie where every other crop has them.

The template is the one that ArcFace (Deng et al., CVPR 2019, arXiv:1801.07698, section 3.1) and
most networks since were trained on: positions in a crop of 112×112 pixels, the eyes first, from
left to right *in the picture*. The subject's right eye is on the left of the picture, so this is
the order of YuNet too: right eye, left eye, nose, right and left corner of the mouth, the
subject's.

A position is that of a pixel's centre: the first pixel is at (0, 0), as OpenCV counts.
"""

import math
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import InvalidRequest
from mien.vision.images import RGB

Landmarks: TypeAlias = npt.NDArray[np.float32]
"""float32 [5, 2]: x and y of right eye, left eye, nose, right and left mouth corner (subject's)."""
Transform: TypeAlias = npt.NDArray[np.float64]
"""float64 [2, 3]: the position (x, y, 1) in a picture to the position in the crop."""

TEMPLATE: Landmarks = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ],
    np.float32,
)
TEMPLATE_SIDE = 112

MOST_SAMPLES_SIDE = 4096
"""Samples along a side of the crop at most, ours: memory stays under 50 MiB. A crop of 112 pixels
is thus averaged fully from a face of up to 4,032 pixels."""


def template(height: int, width: int) -> Landmarks:
    """The template in a crop of another size.

    Scaled about the outer edge of the pixels, as scaling the crop of 112×112 would, so that a
    network which learned from scaled crops is served alike. A crop that is no square keeps the
    face's shape: the square template is centred in it, as large as fits.
    """
    side = min(height, width)
    scale = side / TEMPLATE_SIDE
    margin = np.array([(width - side) / 2, (height - side) / 2])
    return np.asarray((TEMPLATE + 0.5) * scale - 0.5 + margin, dtype=np.float32)


def similarity(source: Landmarks, target: Landmarks) -> Transform:
    """The rotation, scaling and shift that brings `source` nearest to `target`, least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    IEEE PAMI 13(4), 1991, equations 40 to 43; never a reflection.

    Raises InvalidRequest if the points of `source` are not finite or all in one place.
    """
    points, wanted = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre, aim = points.mean(axis=0), wanted.mean(axis=0)
    variance = points.var(axis=0).sum() if np.isfinite(points).all() else 0
    if not variance > 0:
        raise InvalidRequest(
            f"the landmarks {np.asarray(source).round(1).tolist()} give no position; they must be "
            "finite and not all in one place"
        )
    spread = (wanted - aim).T @ (points - centre) / len(points)
    left, singular, right = np.linalg.svd(spread)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    turned = (singular * signs).sum() / variance * rotation
    return np.hstack([turned, (aim - turned @ centre)[:, None]])


def scale_of(transform: Transform) -> float:
    """Pixels of the crop that one pixel of the picture becomes."""
    return math.sqrt(abs(np.linalg.det(transform[:, :2])))


def align(picture: RGB, landmarks: Landmarks, height: int, width: int) -> RGB:
    """Cut the face out of a picture, uint8 [height, width, 3], its landmarks on the template.

    A crop with fewer pixels than the face averages: each of its pixels is the mean of k×k samples
    of the picture, interpolated linearly, with k the pixels of the picture to one of the crop,
    rounded up. What is outside the picture is black.

    Raises InvalidRequest as `similarity`.
    """
    transform = similarity(landmarks, template(height, width))
    samples = _samples(1 / scale_of(transform), max(height, width))
    fine = cv2.warpAffine(
        picture,
        _finer(transform, samples),
        (width * samples, height * samples),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    if samples > 1:
        fine = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(fine, dtype=np.uint8)


def _samples(reduction: float, side: int) -> int:
    """Of the picture for a pixel of the crop, along one axis."""
    most = max(1, MOST_SAMPLES_SIDE // side)
    return int(np.clip(math.ceil(reduction - 1e-6), 1, most))


def _finer(transform: Transform, times: int) -> Transform:
    """The same into a crop of so many times the pixels, scaled about the pixels' outer edge."""
    finer = transform * times
    finer[:, 2] += (times - 1) / 2
    return finer
