"""Bytes to upright RGB pixels."""

import io
import struct
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from mien import deadline
from mien.errors import ImageTooLarge, ImageUndecodable
from mien.vision import heic, jpeg
from mien.vision.room import Room

RGB: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [H, W, 3], red first."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
"""The formats that are decoded, by Pillow's names; PPM is the PNM family (PBM, PGM, PPM). HEIC
beside them, where its extra is installed (`mien.vision.heic`)."""

SUFFIXES = heic.SUFFIXES | {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pbm", ".pgm", ".ppm"}
"""File names that are taken for pictures."""


@dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded. Checked before any pixel is."""

    max_bytes: int = 10 * 2**20
    max_pixels: int = 40_000_000
    max_side: int = 20_000
    """A line of 40 million pixels in a few thousand bytes takes seconds to decode."""
    room: Room = field(default_factory=Room, compare=False)
    """What pictures that are decoded at the same time may take together."""


DEFAULT_LIMITS = Limits()

_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, TypeError, RuntimeError, struct.error)
"""What Pillow's codecs, pillow-heif, and reading EXIF raise for files that are cut or altered."""

_JPEG = ("JPEG", "MPO")
"""By Pillow's names; an MPO has further pictures behind the first."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each EXIF orientation upright (Exif 2.32, tag 274)."""


@dataclass(frozen=True)
class Decoded:
    """An upright picture, perhaps at a reduced scale."""

    pixels: RGB
    reduction: int = 1
    """Pixels of the file, along one axis, that one of these stands for."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in full."""
        height, width = self.pixels.shape[:2]
        return width * self.reduction, height * self.reduction


def decode(content: bytes, limits: Limits = DEFAULT_LIMITS) -> RGB:
    """Decode a picture, the first frame of an animated one, and turn it upright by its EXIF.

    Returns uint8 [H, W, 3] RGB. Grey becomes three equal channels, 16 bits their upper 8;
    transparency is dropped.

    Raises ImageTooLarge (more bytes or pixels than `limits`) and ImageUndecodable (empty,
    truncated, none of FORMATS, or HEIC without the extra).
    """
    return decode_reduced(content, None, limits).pixels


def decode_reduced(content: bytes, side: int | None, limits: Limits = DEFAULT_LIMITS) -> Decoded:
    """As `decode`; a JPEG whose longer side keeps at least `side` pixels at a reduced scale.

    libjpeg then computes only so many of its frequencies, which is several times as fast. The
    scale is 1/2, 1/4 or 1/8, where it divides both sides, so that positions stay exact; what
    `limits` says is of the full picture. Other formats, and a `side` of None, are not reduced.

    Raises as `decode`.
    """
    if not content:
        raise ImageUndecodable("the picture is empty (0 bytes)")
    if len(content) > limits.max_bytes:
        raise ImageTooLarge(
            f"the picture has {len(content):,} bytes; at most {limits.max_bytes:,} are accepted"
        )
    return _plain_jpeg(content, side, limits) or _by_pillow(content, side, limits)


def _plain_jpeg(content: bytes, side: int | None, limits: Limits) -> Decoded | None:
    """None: it is something else, or damaged, and Pillow says what."""
    size = jpeg.size(content)
    if size is None:
        return None
    _check_pixels(size, limits)
    reduction = _reduction(size, side)
    width, height = size[0] // reduction, size[1] // reduction
    with limits.room.taken(width * height):
        pixels = jpeg.pixels(content, width, height)
    if pixels is None:
        deadline.check("decode a damaged picture once more")
        return None
    return Decoded(pixels, reduction)


def _by_pillow(content: bytes, side: int | None, limits: Limits) -> Decoded:
    try:
        with Image.open(io.BytesIO(content), formats=_formats(content)) as picture:
            _check_pixels(picture.size, limits)
            reduction = _reduction(picture.size, side) if picture.format in _JPEG else 1
            if reduction > 1:
                width, height = picture.size
                picture.draft(None, (width // reduction, height // reduction))
            width, height = picture.size
            with limits.room.taken(width * height):
                return Decoded(_rgb(_upright(picture)), reduction)
    except UnidentifiedImageError:
        raise ImageUndecodable(
            f"the {len(content):,} bytes are no JPEG, PNG, WebP, BMP, PNM or HEIC picture"
        ) from None
    except Image.DecompressionBombError:  # from Pillow's own limit, before `limits` is looked at
        raise ImageTooLarge(
            f"the picture has far more than {limits.max_pixels:,} pixels, the most that is accepted"
        ) from None
    except _DAMAGED as error:
        raise ImageUndecodable(f"the picture is damaged: {error}") from None


def _formats(content: bytes) -> tuple[str, ...]:
    """That may be in the bytes. Raises ImageUndecodable: HEIC, and nothing decodes it here."""
    if not heic.is_heic(content):
        return FORMATS
    heic.register()
    return (heic.FORMAT,)


def _reduction(size: tuple[int, int], side: int | None) -> int:
    """Of a JPEG: pixels along one axis that become one."""
    if side is None:
        return 1
    width, height = size
    for reduction in (8, 4, 2):
        exact = width % reduction == 0 and height % reduction == 0
        if exact and max(size) // reduction >= side:
            return reduction
    return 1


def _upright(picture: Image.Image) -> Image.Image:
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    return picture if turn is None else picture.transpose(turn)


def _rgb(picture: Image.Image) -> RGB:
    if picture.mode.startswith("I"):  # Pillow would cut 16 bits off at 255, so to white
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode == "F":
        raise ImageUndecodable("the picture has floating-point pixels; save it with 8 bits")
    picture.info.pop("transparency", None)  # dropped anyway, and Pillow warns of some kinds
    return np.asarray(picture.convert("RGB"))


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height == 0:
        raise ImageUndecodable(f"the picture is {width}×{height} pixels")
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise ImageTooLarge(
            f"the picture is {width}×{height} pixels; at most {limits.max_pixels:,} are accepted, "
            f"and {limits.max_side:,} on a side"
        )
