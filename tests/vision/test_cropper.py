import numpy as np
import pytest
from PIL import Image

from mien.errors import (
    ExtremePose,
    FaceTooSmall,
    ImageTooLarge,
    ImageUndecodable,
    LowSharpness,
    MultipleFaces,
    NoFace,
)
from mien.vision import cropper as croppers
from mien.vision.alignment import align
from mien.vision.cropper import Cropper
from mien.vision.crops import crop
from mien.vision.faces import AtLandmarks, Box, Face, InBox, Middle, WholePicture
from mien.vision.images import Limits, decode
from tests.faces import encoded
from tests.vision.portraits import Told, face, file, photograph, profile

ONE, TWO = face(200, 240, 2), face(470, 240, 1.5, degrees=10)


def aligned_cropper(*faces: Face, width: int = 640) -> Cropper:
    return Cropper(112, 112, "arcface-5", Told(faces, width))


def test_a_face_of_a_photograph_is_aligned_and_judged() -> None:
    pixels = photograph(ONE)
    (cut,) = aligned_cropper(ONE).cut(file(pixels), "reject").taken
    assert ONE.landmarks is not None
    np.testing.assert_array_equal(cut.crop, align(pixels, ONE.landmarks, 112, 112))
    assert cut.face.box == ONE.box
    assert cut.quality is not None
    assert cut.quality.min_side_px == pytest.approx(158)


def test_each_policy_is_kept() -> None:
    content = file(photograph(ONE, TWO))
    cropper = aligned_cropper(TWO, ONE)
    with pytest.raises(MultipleFaces):
        cropper.cut(content, "reject")
    assert [cut.face.box for cut in cropper.cut(content, "largest").taken] == [ONE.box]
    both = cropper.cut(content, "all")
    assert [cut.face.box for cut in both.taken] == [ONE.box, TWO.box]
    for cut, person in zip(both.taken, (1, 2), strict=True):
        alone = photograph(cut.face, person=person)
        assert cut.face.landmarks is not None
        own = align(alone, cut.face.landmarks, 112, 112)
        assert np.abs(cut.crop.astype(float) - own).mean() < 1


def test_a_picture_without_a_face_is_refused() -> None:
    with pytest.raises(NoFace):
        aligned_cropper().cut(file(photograph()), "largest")


def test_a_face_of_no_use_is_refused_by_its_first_fault() -> None:
    side = profile(200, 240)
    with pytest.raises(ExtremePose):
        aligned_cropper(side).cut(file(photograph(side, blur=30)), "reject")
    with pytest.raises(LowSharpness):
        aligned_cropper(ONE).cut(file(photograph(ONE, blur=30)), "reject")
    tiny = face(30, 30, 0.2)
    with pytest.raises(FaceTooSmall, match="16 pixels wide"):
        aligned_cropper(tiny).cut(file(photograph(tiny)), "reject")


def test_of_all_faces_those_of_no_use_are_told_beside_the_others() -> None:
    side = profile(470, 240, 1.5)
    cuts = aligned_cropper(ONE, side).cut(file(photograph(ONE, side)), "all")
    assert [cut.face.box for cut in cuts.taken] == [ONE.box]
    (refused,) = cuts.refused
    assert refused.face.box == side.box
    assert [type(fault) for fault in refused.faults] == [ExtremePose]


def test_what_is_near_a_limit_is_warned_of() -> None:
    small = face(200, 200, 0.6, score=0.8)
    (cut,) = aligned_cropper(small).cut(file(photograph(small)), "reject").taken
    assert {"LOW_CONFIDENCE", "FACE_TOO_SMALL"} <= {warning.reason for warning in cut.warnings}


def test_without_alignment_the_whole_picture_is_the_crop_as_ever() -> None:
    content = encoded(1, 1)
    cropper = Cropper(30, 40, "none", Told((ONE,)))
    (cut,) = cropper.cut(content, "reject").taken
    np.testing.assert_array_equal(cut.crop, crop(decode(content), 30, 40))
    assert cut.quality is None
    assert cut.warnings == ()
    assert cut.face.box == Box(0, 0, 48, 48)


def test_a_caller_may_say_that_a_picture_is_a_crop() -> None:
    content = encoded(1, 1)
    (cut,) = aligned_cropper().cut(content, "reject", WholePicture()).taken
    np.testing.assert_array_equal(cut.crop, crop(decode(content), 112, 112))
    always = Cropper(112, 112, "arcface-5", WholePicture()).cut(content, "reject")
    np.testing.assert_array_equal(always.taken[0].crop, cut.crop)


def test_without_a_detector_the_middle_of_a_photograph_is_the_crop() -> None:
    pixels = photograph(ONE)
    cropper = Cropper(112, 112, "arcface-5", Middle(0.5))
    (cut,) = cropper.cut(file(pixels), "reject").taken
    np.testing.assert_array_equal(cut.crop, crop(pixels[120:360, 200:440], 112, 112))
    assert cut.quality is None


def test_a_caller_may_say_where_the_face_is() -> None:
    content = file(photograph(ONE, TWO))
    assert TWO.landmarks is not None
    wanted = aligned_cropper(TWO).cut(content, "reject").taken[0].crop
    found = aligned_cropper(ONE).cut(content, "reject", AtLandmarks(TWO.landmarks)).taken[0].crop
    np.testing.assert_array_equal(found, wanted)

    class InRegion:
        """Told of the picture that InBox cuts out."""

        name = "region"

        def detect(self, picture: np.ndarray) -> list[Face]:
            left, top = int(box.x - 0.5 * box.width), int(box.y - 0.5 * box.height)
            return [TWO.moved(1, -left, -top)]

    box = TWO.box
    (boxed,) = aligned_cropper(ONE).cut(content, "reject", InBox(box, InRegion())).taken
    assert np.abs(boxed.crop.astype(float) - wanted).max() <= 1


class TestReducedDecoding:
    """A photograph of many pixels: 2,560 × 1,920, a JPEG."""

    LARGE = face(1200, 900, 8)
    SMALL = face(1200, 900, 1.4)

    @pytest.mark.parametrize("seen", [LARGE, face(1300, 1000, 10, degrees=-20)])
    def test_the_crop_is_that_of_the_full_picture(self, seen: Face) -> None:
        pixels = photograph(seen, height=1920, width=2560)
        content = file(pixels, "JPEG", quality=95)
        detector = Told((seen,), 2560)
        (cut,) = Cropper(112, 112, "arcface-5", detector).cut(content, "reject").taken
        assert detector.shown == [(960, 1280)]
        assert seen.landmarks is not None
        full = align(decode(content), seen.landmarks, 112, 112)
        difference = np.abs(cut.crop.astype(float) - full)
        assert difference.mean() < 1.5
        assert cut.face.box == pytest.approx(seen.box)
        assert cut.quality is not None
        assert cut.quality.min_side_px == pytest.approx(seen.box.width, rel=1e-3)

    def test_a_face_that_needs_every_pixel_gets_them(self) -> None:
        pixels = photograph(self.SMALL, height=1920, width=2560)
        content = file(pixels, "JPEG", quality=95)
        cropper = Cropper(112, 112, "arcface-5", Told((self.SMALL,), 2560))
        (cut,) = cropper.cut(content, "reject").taken
        assert self.SMALL.landmarks is not None
        full = align(decode(content), self.SMALL.landmarks, 112, 112)
        assert np.abs(cut.crop.astype(float) - full).mean() < 0.2

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_a_turned_photograph_is_reduced_alike(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = photograph(self.LARGE, height=1920, width=2560)
        content = file(stored, "JPEG", quality=95, exif=exif)
        upright = decode(content)
        seen = face(upright.shape[1] / 2, upright.shape[0] / 2, 8)
        cropper = Cropper(112, 112, "arcface-5", Told((seen,), upright.shape[1]))
        (cut,) = cropper.cut(content, "reject").taken
        assert seen.landmarks is not None
        full = align(upright, seen.landmarks, 112, 112)
        assert np.abs(cut.crop.astype(float) - full).mean() < 1.5

    def test_what_a_caller_says_is_of_the_full_picture(self) -> None:
        content = file(photograph(self.LARGE, height=1920, width=2560), "JPEG", quality=95)
        assert self.LARGE.landmarks is not None
        told = AtLandmarks(self.LARGE.landmarks)
        (cut,) = aligned_cropper().cut(content, "reject", told).taken
        full = align(decode(content), self.LARGE.landmarks, 112, 112)
        np.testing.assert_array_equal(cut.crop, full)


def test_limits_and_damage_are_told_as_the_decoder_tells_them() -> None:
    cropper = Cropper(112, 112, "arcface-5", Told((ONE,)), Limits(max_pixels=100))
    with pytest.raises(ImageTooLarge):
        cropper.cut(file(photograph(ONE)), "reject")
    with pytest.raises(ImageUndecodable):
        cropper.cut(b"rubbish", "reject")


def test_twice_what_the_detector_sees_is_decoded_at_least() -> None:
    assert croppers.DECODED_SIDE == 1280
