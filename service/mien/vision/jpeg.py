"""JPEG files without EXIF, by libjpeg-turbo: a small one in half of Pillow's time.

Pillow reads a file's header in Python. It has a libjpeg-turbo of its own, and the pixels are the
same. What is rarer – EXIF, CMYK, damage – is left to it; of odd headers, some that it refuses are
decoded here.
"""

import numpy as np
import numpy.typing as npt
import simplejpeg

_BEGINNING = b"\xff\xd8\xff"
_EXIF, _XMP = b"Exif\x00\x00", b"tiff:Orientation"
"""Where a file says how its picture is to be turned (Exif 2.32, 4.7.2; XMP part 2, 3.2)."""
_PLAIN = ("YCbCr", "Gray")
"""No "RGB": libjpeg-turbo before 3.1.4 writes a lossless one in full where it is to be reduced, and
so beyond the memory for it."""


def size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG that `pixels` can decode; None of whatever else it is."""
    if not content.startswith(_BEGINNING) or _EXIF in content or _XMP in content:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except (ValueError, KeyError):  # damaged; of colours or a sampling that it has no name for
        return None
    return (width, height) if colours in _PLAIN else None


def pixels(content: bytes, width: int, height: int) -> npt.NDArray[np.uint8] | None:
    """uint8 [height, width, 3] RGB of a JPEG that has a `size`, and this is 1, 1/2, 1/4 or 1/8 of
    it; None if it is damaged."""
    try:
        decoded = simplejpeg.decode_jpeg(content, "RGB", min_height=height, min_width=width)
    except ValueError:
        return None
    return np.asarray(decoded, np.uint8)
