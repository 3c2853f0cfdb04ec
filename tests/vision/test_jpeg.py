import io
import struct
import time
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from mien.deadline import Deadline, kept
from mien.errors import DeadlineExceeded, ImageTooLarge, ImageUndecodable
from mien.vision import jpeg
from mien.vision.images import RGB, Limits, decode
from tests.faces import encoded
from tests.vision.shared import needs_photos, some

WIDTH, HEIGHT = 208, 160
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:1:1", "grey"])
@pytest.mark.parametrize("restarts", [0, 1])
@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_pixels_are_those_of_pillow(
    reduction: int, quality: int, restarts: int, subsampling: str, progressive: bool
) -> None:
    saved: Any = {"quality": quality, "progressive": progressive, "restart_marker_rows": restarts}
    if subsampling == "grey":
        content = file("L", **saved)
    else:
        content = file("RGB", subsampling=subsampling, **saved)
    assert_same(content, reduction)


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_pixels_of_a_picture_on_its_side_are_those_of_pillow(reduction: int) -> None:
    rows = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    assert_same(simplejpeg.encode_jpeg(rows, colorsubsampling="440"), reduction)


@pytest.mark.parametrize("width", range(1, 10))
@pytest.mark.parametrize("height", [1, 7, 8, 17])
def test_pixels_of_the_smallest_pictures_are_those_of_pillow(width: int, height: int) -> None:
    assert_same(file("RGB", (width, height)), 1)


@needs_photos
def test_pixels_of_photographs_are_those_of_pillow() -> None:
    paths = some("crops", 997) + some("photos", 97)
    assert len(paths) > 10
    for path in paths:
        assert_same(path.read_bytes(), 1)


def assert_same(content: bytes, reduction: int) -> None:
    theirs = pillow(content, reduction)
    height, width, _ = theirs.shape
    ours = jpeg.pixels(content, width, height)
    assert ours is not None
    np.testing.assert_array_equal(ours, theirs)
    assert jpeg.size(content) == pillow(content).shape[1::-1]


def test_what_may_be_turned_or_is_no_plain_jpeg_is_left_to_pillow() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, by_xmp = file("RGB", exif=exif), file("RGB", xmp=XMP)
    others = [file("CMYK"), encoded(1, 1, ".png"), encoded(1, 1, ".webp"), b"", b"\xff\xd8\xff"]
    assert [jpeg.size(each) for each in [turned, by_xmp, *others]] == [None] * 7
    for content in (turned, by_xmp):
        assert decode(content).shape == (WIDTH, HEIGHT, 3)
    assert decode(others[0]).shape == (HEIGHT, WIDTH, 3)


def test_a_lossless_file_of_colours_that_are_no_luma_is_left_to_pillow() -> None:
    content = lossless(64, 64)
    assert simplejpeg.decode_jpeg_header(content)[:3] == (64, 64, "RGB")
    assert jpeg.size(content) is None


def test_a_sampling_without_a_name_is_left_to_pillow() -> None:
    content = bytearray(file("RGB", subsampling="4:4:4"))
    luma = content.index(b"\xff\xc0") + 11
    assert content[luma] == 0x11
    content[luma] = 0x14  # 4:4:1
    assert jpeg.size(bytes(content)) is None
    np.testing.assert_array_equal(decode(bytes(content)), pillow(bytes(content)))


def test_nobody_waits_for_a_damaged_file_to_be_decoded_again() -> None:
    content = file("RGB")
    with kept(Deadline(time.monotonic() - 1)), pytest.raises(DeadlineExceeded, match="once more"):
        decode(content[: len(content) // 2])


def test_an_upright_picture_with_exif_is_as_without() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    np.testing.assert_array_equal(decode(file("RGB", exif=exif)), decode(file("RGB")))


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused_as_pillow_says(kept: float) -> None:
    content = file("RGB")
    content = content[: int(kept * len(content))]
    assert jpeg.size(content) == (WIDTH, HEIGHT)
    assert jpeg.pixels(content, WIDTH, HEIGHT) is None
    with pytest.raises(ImageUndecodable, match="damaged: image file is truncated"):
        decode(content)


def test_what_libjpeg_only_warns_of_is_decoded_as_pillow_does() -> None:
    content = bytearray(file("RGB"))
    content[len(content) // 2 : len(content) // 2 + 8] = b"\xff\xd3\x00\x00\x00\x00\x00\x00"
    assert jpeg.pixels(bytes(content), WIDTH, HEIGHT) is None
    np.testing.assert_array_equal(decode(bytes(content)), pillow(bytes(content)))


def test_pixels_are_limited_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "pixels", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ImageTooLarge, match="208×160 pixels; at most 1,000"):
        decode(file("RGB"), Limits(max_pixels=1000))
    with pytest.raises(ImageTooLarge, match="100 on a side"):
        decode(file("RGB"), Limits(max_side=100))


def file(mode: str, size: tuple[int, int] = (WIDTH, HEIGHT), **saved: Any) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 255, (10, 13, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize(size).convert(mode).save(out, "JPEG", **saved)
    return out.getvalue()


def lossless(width: int, height: int) -> bytes:
    """A black JPEG of process 14 (ITU-T T.81, SOF3), of three components that are called R, G, B;
    one code of one bit, and all differences are 0."""
    components = [b"R", b"G", b"B"]
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"".join(c + b"\x11\0" for c in components)
    code = b"\0" + bytes([1] + [0] * 15) + b"\0"
    scan = b"\x03" + b"".join(c + b"\0" for c in components) + b"\x01\0\0"
    segments = [(0xC3, frame), (0xC4, code), (0xDA, scan)]
    written = [struct.pack(">BBH", 0xFF, marker, len(b) + 2) + b for marker, b in segments]
    return b"\xff\xd8" + b"".join(written) + bytes(width * height * 3 // 8) + b"\xff\xd9"


def pillow(content: bytes, reduction: int = 1) -> RGB:
    with Image.open(io.BytesIO(content)) as picture:
        picture.draft(None, (picture.width // reduction, picture.height // reduction))
        return np.asarray(picture.convert("RGB"))
