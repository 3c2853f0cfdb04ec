import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from mien.errors import ImageTooLarge, ImageUndecodable
from mien.vision.images import Limits, decode
from tests.faces import encoded, picture


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm"])
def test_lossless_formats_come_back_pixel_for_pixel(suffix: str) -> None:
    np.testing.assert_array_equal(decode(encoded(1, 1, suffix)), picture(1, 1))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_come_back_nearly(suffix: str) -> None:
    error = decode(encoded(1, 1, suffix)).astype(float) - picture(1, 1)
    assert np.abs(error).mean() < 20


def test_grey_pictures_get_three_equal_channels() -> None:
    pixels = decode(_pillow(Image.new("L", (3, 2), 77), "PPM"))
    assert pixels.shape == (2, 3, 3)
    assert (pixels == 77).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_shows_the_same_upright_picture(orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste("white", (0, 0, 16, 8))
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(_pillow(stored, "PNG", exif=exif))
    np.testing.assert_array_equal(pixels, np.asarray(upright))


@pytest.mark.parametrize("form", ["PNG", "PPM"])
def test_sixteen_bits_keep_their_upper_eight(form: str) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    if form == "PNG":
        content = _pillow(Image.fromarray(ramp), form)
    else:
        content = b"P5\n256 256\n65535\n" + ramp.astype(">u2").tobytes()
    pixels = decode(content)
    np.testing.assert_array_equal(pixels[:, :, 0], ramp >> 8)
    assert (pixels == pixels[:, :, :1]).all()


def test_floating_point_pixels_are_refused() -> None:
    content = b"Pf\n2 2\n-1.0\n" + np.ones(4, "<f4").tobytes()
    with pytest.raises(ImageUndecodable, match="floating-point"):
        decode(content)


def test_files_that_were_altered_at_random_are_decoded_or_refused() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, "maker", {0x9003: "2026:01:01 00:00:00"}
    random = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow tells of what it passes over
        for form in ("JPEG", "PNG", "WEBP"):
            good = _pillow(Image.fromarray(picture(1, 1)), form, exif=exif)
            for _ in range(400):
                content = bytearray(good)
                for place in random.integers(len(content) // 2, size=4):
                    content[place] = random.integers(256)
                with contextlib.suppress(ImageUndecodable, ImageTooLarge):
                    assert decode(bytes(content)).dtype == np.uint8


def test_an_animation_gives_its_first_frame() -> None:
    first, second = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    pixels = decode(_pillow(first, "PNG", save_all=True, append_images=[second]))
    assert (pixels == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello, I am a text file", "no JPEG"),
        (encoded(1, 1, ".jpg")[:-200], "damaged"),
        (encoded(1, 1, ".png")[:-200], "damaged"),
        (encoded(1, 1, ".ppm")[:-200], "damaged"),
        (b"P5\n0 0\n255\n", "0×0|no JPEG|damaged"),
        (_gif := b"GIF89a\x01\x00\x01\x00\x80\x00\x00", "no JPEG"),
    ],
    ids=["empty", "text", "truncated jpeg", "truncated png", "truncated ppm", "0x0", "gif"],
)
def test_what_is_no_picture_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ImageUndecodable, match=message):
        decode(content)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm"])
def test_a_truncated_picture_is_refused_unless_every_pixel_was_there(suffix: str) -> None:
    content = encoded(2, 2, suffix)
    for length in range(0, len(content), 37):
        try:
            pixels = decode(content[:length])
        except ImageUndecodable:
            continue
        np.testing.assert_array_equal(pixels, picture(2, 2))


def test_bytes_are_limited() -> None:
    with pytest.raises(ImageTooLarge, match="at most 10 are accepted"):
        decode(encoded(1, 1), Limits(max_bytes=10))


def test_pixels_are_limited_before_they_are_decoded() -> None:
    with pytest.raises(ImageTooLarge, match="more than 40,000,000 pixels"):
        decode(_bomb(50_000, 50_000), Limits())
    with pytest.raises(ImageTooLarge, match="7000×7000"):
        decode(_bomb(7000, 7000), Limits())
    with pytest.raises(ImageTooLarge, match="20,000 on a side"):
        decode(_bomb(1, 30_000), Limits())


def _pillow(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises more than its few bytes can hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
