"""HEIC, which phones take photographs in: decoded by pillow-heif, if the extra `heic` is there.

It is an extra since its wheels hold libraries under the GPL and the LGPL; the rest of mien does
without.
"""

from functools import cache

from mien.errors import ImageUndecodable

FORMAT = "HEIF"
"""Pillow's name of it."""
SUFFIXES = frozenset({".heic", ".heif"})

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""What a file's first box says that it is (ISO/IEC 23008-12, annex B)."""


def is_heic(content: bytes) -> bool:
    """Whether the bytes begin as such a file does; nothing is decoded. AVIF is another format."""
    return content[4:8] == b"ftyp" and content[8:12] in BRANDS


@cache
def register() -> None:
    """Let Pillow open it, on one thread a picture: as many pictures are decoded as there are cores.

    Raises ImageUndecodable, naming the extra, if it is not installed.
    """
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - an extra, and slow to load
    except ModuleNotFoundError as error:
        if error.name != "pillow_heif":
            raise
        raise ImageUndecodable(
            "the picture is HEIC, which needs a package that is not installed here; "
            "pip install 'mien[heic]', or send a JPEG"
        ) from None
    register_heif_opener(thumbnails=False, decode_threads=1)
