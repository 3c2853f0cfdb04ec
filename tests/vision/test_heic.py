"""HEIC, by the extra; and without it, a sentence that says so."""

import io
import struct
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from mien.errors import ImageTooLarge, ImageUndecodable
from mien.vision import heic
from mien.vision.images import FORMATS, SUFFIXES, Limits, decode
from tests.faces import encoded, picture
from tests.vision.portraits import file

BEGINNING = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"


@pytest.fixture
def fresh() -> Iterator[None]:
    """As in a process that has decoded none yet."""
    heic.register.cache_clear()
    yield
    heic.register.cache_clear()


def test_it_is_known_by_its_first_box() -> None:
    assert heic.is_heic(BEGINNING)
    assert heic.is_heic(b"\0\0\0\x18ftypmif1")
    for other in (b"", b"ftypheic", b"\0\0\0\x1cftypavif", encoded(1, 1), encoded(1, 1, ".jpg")):
        assert not heic.is_heic(other)


def test_files_are_taken_for_pictures_with_or_without_the_extra() -> None:
    assert {".heic", ".heif"} <= SUFFIXES


@pytest.mark.usefixtures("fresh")
def test_without_the_extra_the_refusal_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageUndecodable, match=r"is HEIC.*pip install 'mien\[heic\]'"):
        decode(BEGINNING)
    decode(encoded(1, 1))


def test_what_is_no_heic_never_asks_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "register", None)
    np.testing.assert_array_equal(decode(encoded(1, 1)), picture(1, 1))
    with pytest.raises(ImageUndecodable, match="no JPEG, PNG, WebP, BMP, PNM or HEIC"):
        decode(b"\0\0\0\x1cftypavif\0\0\0\0")
    assert heic.FORMAT not in FORMATS


class TestDecoding:
    """With files that the extra's own encoder wrote."""

    @pytest.fixture(autouse=True)
    def _extra(self) -> None:
        pytest.importorskip("pillow_heif", reason="the extra mien[heic] is not installed")
        heic.register()

    def test_a_photograph_comes_back_nearly(self) -> None:
        smooth = np.asarray(Image.fromarray(picture(1, 1)).resize((96, 64)))
        found = decode(file(smooth, "HEIF", quality=95))
        assert found.shape == smooth.shape
        assert np.abs(found.astype(float) - smooth).mean() < 8

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_it_is_turned_upright_once(self, orientation: int) -> None:
        upright = Image.new("RGB", (128, 64), "black")
        upright.paste("white", (0, 0, 128, 32))
        turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
        turn[8] = Image.Transpose.ROTATE_270
        stored = upright if orientation == 1 else upright.transpose(turn[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = decode(file(np.asarray(stored), "HEIF", quality=90, exif=exif.tobytes()))
        assert found.shape == (64, 128, 3)
        assert found[8:24].mean() > 200
        assert found[40:56].mean() < 50

    def test_transparency_is_dropped(self) -> None:
        out = io.BytesIO()
        Image.new("RGBA", (64, 64), (200, 20, 20, 0)).save(out, "HEIF", quality=90)
        found = decode(out.getvalue())
        assert found.shape == (64, 64, 3)
        assert np.abs(found.reshape(-1, 3).mean(0) - [200, 20, 20]).max() < 8

    def test_its_pixels_are_counted_before_they_are_decoded(self) -> None:
        content = file(np.zeros((64, 96, 3), np.uint8), "HEIF")
        with pytest.raises(ImageTooLarge, match="96×64"):
            decode(content, Limits(max_pixels=6000))

    def test_a_file_that_declares_fewer_pixels_than_it_has_is_refused(self) -> None:
        content = bytearray(file(np.zeros((1000, 1500, 3), np.uint8), "HEIF", quality=10))
        assert len(content) < 20_000
        at = content.index(b"ispe") + 8
        assert struct.unpack(">II", content[at : at + 8]) == (1500, 1000)
        content[at : at + 8] = struct.pack(">II", 64, 64)
        with pytest.raises(ImageUndecodable, match="is damaged"):
            decode(bytes(content))

    def test_a_damaged_file_is_refused_or_decoded_and_nothing_else(self) -> None:
        content = file(picture(1, 1), "HEIF")
        dice = np.random.default_rng(0)
        refused = 0
        for _ in range(300):
            damaged = bytearray(content)
            for at in dice.integers(0, len(content), 3):
                damaged[at] = dice.integers(256)
            try:
                decode(bytes(damaged[: dice.integers(20, len(content) + 1)]))
            except (ImageUndecodable, ImageTooLarge):
                refused += 1
        assert refused > 100
