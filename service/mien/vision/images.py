"""Bytes to upright RGB pixels."""

import io
import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mien.errors import ImageTooLarge, ImageUndecodable

RGB: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [H, W, 3], red first."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
"""The formats that are decoded, by Pillow's names; PPM is the PNM family (PBM, PGM, PPM)."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pbm", ".pgm", ".ppm"})
"""File names that are taken for pictures."""


@dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded. Checked before any pixel is."""

    max_bytes: int = 10 * 2**20
    max_pixels: int = 40_000_000


DEFAULT_LIMITS = Limits()


def decode(content: bytes, limits: Limits = DEFAULT_LIMITS) -> RGB:
    """Decode a picture, the first frame of an animated one, and turn it upright by its EXIF.

    Returns uint8 [H, W, 3] RGB. Grey becomes three equal channels; transparency is dropped.

    Raises ImageTooLarge (more bytes or pixels than `limits`) and ImageUndecodable (empty,
    truncated, or none of FORMATS).
    """
    if not content:
        raise ImageUndecodable("the picture is empty (0 bytes)")
    if len(content) > limits.max_bytes:
        raise ImageTooLarge(
            f"the picture has {len(content):,} bytes; at most {limits.max_bytes:,} are accepted"
        )
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; `limits` is what decides here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check_pixels(picture.size, limits)
                return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except UnidentifiedImageError:
        raise ImageUndecodable(
            f"the {len(content):,} bytes are no JPEG, PNG, WebP, BMP or PNM picture"
        ) from None
    except Image.DecompressionBombError:  # from Pillow's own limit, before `limits` is looked at
        raise ImageTooLarge(
            f"the picture has far more than {limits.max_pixels:,} pixels, the most that is accepted"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow's codecs raise
        raise ImageUndecodable(f"the picture is damaged: {error}") from None


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height == 0:
        raise ImageUndecodable(f"the picture is {width}×{height} pixels")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the picture is {width}×{height} pixels; at most {limits.max_pixels:,} are accepted"
        )
