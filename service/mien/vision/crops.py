"""Upright pictures to crops of the size that a network takes.

Only this room knows how a picture becomes a crop, and there are two ways. Alignment "none": the
picture is the crop already and is only scaled, by `crop`. "arcface-5": a face of a photograph is
brought onto the five-point template by `mien.vision.alignment`. `mien.vision.cropper` is what
training and serving both call.
"""

from typing import Literal, TypeAlias

import cv2
import numpy as np

from mien.vision.images import RGB

Alignment: TypeAlias = Literal["none", "arcface-5"]
"""How pictures become crops; a part of a bundle's fingerprint."""


def crop(picture: RGB, height: int, width: int) -> RGB:
    """Scale a whole picture to uint8 [height, width, 3], stretching it if its shape differs.

    Shrinking averages areas and enlarging interpolates linearly, as OpenCV recommends for each.
    """
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = picture.shape[0] > height or picture.shape[1] > width
    scaled = cv2.resize(
        picture,
        (width, height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return np.asarray(scaled, dtype=np.uint8)
