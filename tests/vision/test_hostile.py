"""Pictures that mean harm or are none, made by code: each is decoded or refused, soon."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.dataset import scan
from mien.errors import ImageTooLarge, ImageUndecodable, NoFace
from mien.vision.cropper import Cropper
from mien.vision.images import decode, decode_reduced
from tests.faces import encoded
from tests.vision.portraits import Told, file

NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)


def archive(content: bytes, depth: int) -> bytes:
    for level in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(f"{level}.jpg", content)
        content = out.getvalue()
    return content


def png(width: int, height: int, rows: bytes, bits: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG whose header claims other sides than its data has."""
    content = bytearray(file(NOISE, "JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 58, 0, 0, 54, 40, width, height, 1, 24, 0, 4,
                               0, 0, 0, 0) + b"\0\0\0\0"  # fmt: skip


TOO_LARGE = {
    "png of 50,000 by 50,000": png(50_000, 50_000, b"\0"),
    "png of a row 40 million wide": png(40_000_000, 1, b"\0"),
    "jpeg of 65,000 by 65,000": jpeg_of(65_000, 65_000),
    "jpeg of 7,000 by 6,000": jpeg_of(7_000, 6_000),
    "bmp of 2 billion by 1": bmp_of(2_000_000_000, 1),
    "pnm of 99,999 by 99,999": b"P6\n99999 99999\n255\n" + bytes(64),
    "webp of 16,383 by 16,383": b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f\xfe\xff\xff\x0f" + bytes(12),
    "eleven megabytes of zeros": bytes(11 * 2**20),
}

NO_PICTURE = {
    "zero bytes": b"",
    "one byte": b"\xff",
    "a text": b"I am a text file with the suffix .jpg",
    "html": b"<!doctype html><html><body>404</body></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"/>',
    "a zip": archive(b"hello", 1),
    "a zip in a zip in a zip, of a picture": archive(encoded(1, 1, ".jpg"), 3),
    "a gif": b"GIF89a" + struct.pack("<HH", 4, 4) + bytes(40),
    "a tiff": file(NOISE, "TIFF"),
    "an icon": file(NOISE, "ICO"),
    "a pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
    "a jpeg's first half": file(NOISE, "JPEG")[: len(file(NOISE, "JPEG")) // 2],
    "a jpeg's header": file(NOISE, "JPEG")[:24],
    "a png without data": png(4, 4, b""),
    "a png that is cut": file(NOISE)[:-300],
    "a webp that is cut": file(NOISE, "WEBP")[:-100],
    "a bmp that is cut": file(NOISE, "BMP")[:-100],
    "a png of zeros for a signature": bytes(4096),
}


def refuses(error: type[Exception], content: bytes) -> None:
    """Both ways of decoding, in little memory."""
    tracemalloc.start()
    with pytest.raises(error):
        decode(content)
    with pytest.raises(error):
        decode_reduced(content, 640)
    with pytest.raises(error):
        Cropper(112, 112, "arcface-5", Told(())).cut(content, "largest")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * 2**20


@pytest.mark.parametrize("content", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_bomb_is_refused_by_its_header(content: bytes) -> None:
    refuses(ImageTooLarge, content)


@pytest.mark.parametrize("content", NO_PICTURE.values(), ids=NO_PICTURE)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    refuses(ImageUndecodable, content)


def test_a_jpeg_that_ends_in_order_before_its_data_do_is_grey_and_has_no_face() -> None:
    """libjpeg fills it up and only warns, which Pillow does not pass on."""
    content = jpeg_of(3000, 3000)
    assert decode(content)[100:].std() < 1
    with pytest.raises(NoFace):
        Cropper(112, 112, "arcface-5", Told(())).cut(content, "largest")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "PPM"])
@pytest.mark.parametrize("shape", [(1, 1), (10, 20_000), (10_000, 10)])
def test_odd_shapes_are_decoded_and_have_no_face(form: str, shape: tuple[int, int]) -> None:
    if form == "WEBP" and max(shape) > 16_383:
        pytest.skip("a WebP has at most 16,383 pixels on a side")
    content = file(np.full((*shape, 3), 200, np.uint8), form)
    assert decode(content).shape == (*shape, 3)
    with pytest.raises(NoFace):
        Cropper(112, 112, "arcface-5", Told(())).cut(content, "reject")


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "person").mkdir()
    (tmp_path / "person" / "really-a.png.jpg").write_bytes(file(NOISE, "PNG"))
    (person,) = scan(tmp_path)
    np.testing.assert_array_equal(decode(person.pictures[0].read_bytes()), NOISE)


def test_folders_and_dangling_links_named_as_pictures_are_passed_over(tmp_path: Path) -> None:
    home = tmp_path / "person"
    (home / "folder.jpg").mkdir(parents=True)
    (home / "nowhere.jpg").symlink_to(tmp_path / "nothing")
    (home / "loop.jpg").symlink_to(home / "loop.jpg")
    (home / "good.png").write_bytes(file(NOISE))
    (person,) = scan(tmp_path)
    assert [path.name for path in person.pictures] == ["good.png"]


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_of_an_animation_only_the_first_frame_is_decoded(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    assert (decode(out.getvalue()) == [255, 0, 0]).all()


MODES: dict[str, Callable[[], Image.Image]] = {
    "CMYK": lambda: Image.fromarray(NOISE).convert("CMYK"),
    "L": lambda: Image.fromarray(NOISE).convert("L"),
    "YCbCr": lambda: Image.fromarray(NOISE).convert("YCbCr"),
}


@pytest.mark.parametrize("mode", MODES)
def test_jpegs_of_every_colour_are_rgb_in_full_and_reduced(mode: str) -> None:
    out = io.BytesIO()
    MODES[mode]().resize((1280, 1920)).save(out, "JPEG", quality=95)
    full = decode(out.getvalue())
    reduced = decode_reduced(out.getvalue(), 480)
    assert full.shape == (1920, 1280, 3)
    assert reduced.reduction == 4
    assert reduced.pixels.shape == (480, 320, 3)
    blocks = full.reshape(480, 4, 320, 4, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(reduced.pixels - blocks).mean() < 3


@pytest.mark.parametrize("mode", ["P", "PA", "LA", "RGBA", "1", "I;16"])
def test_pngs_of_every_mode_are_rgb(mode: str) -> None:
    source = Image.fromarray(NOISE)
    if mode == "I;16":
        pixels = Image.fromarray(np.full((64, 48), 300 * 256 // 2, np.uint16))
    elif mode == "PA":
        pixels = source.convert("P")
        pixels.info["transparency"] = bytes(range(256))
    else:
        pixels = source.convert(mode)
    out = io.BytesIO()
    pixels.save(out, "PNG")
    assert decode(out.getvalue()).shape == (64, 48, 3)


def test_transparency_is_dropped_and_colours_stay() -> None:
    alpha = np.dstack([NOISE, np.zeros((64, 48), np.uint8)])
    np.testing.assert_array_equal(decode(file(alpha)), NOISE)


@pytest.mark.parametrize(
    ("size", "side", "reduction"),
    [
        ((4032, 3024), 1280, 2),
        ((4032, 3024), 1008, 4),
        ((4032, 3024), 504, 8),
        ((4032, 3024), 300, 8),
        ((4032, 3024), 4032, 1),
        ((4032, 3026), 1000, 2),
        ((4031, 3024), 1000, 1),
        ((640, 480), 1280, 1),
    ],
)
def test_the_reduction_keeps_the_side_and_divides_the_picture(
    size: tuple[int, int], side: int, reduction: int
) -> None:
    out = io.BytesIO()
    Image.new("RGB", size, "grey").save(out, "JPEG")
    decoded = decode_reduced(out.getvalue(), side)
    assert decoded.reduction == reduction
    assert decoded.pixels.shape == (size[1] // reduction, size[0] // reduction, 3)


def test_other_formats_are_not_reduced() -> None:
    assert decode_reduced(file(np.zeros((1600, 1600, 3), np.uint8)), 200).reduction == 1
