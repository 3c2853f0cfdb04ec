import numpy as np
import pytest

from mien.errors import InvalidRequest
from mien.vision.alignment import TEMPLATE
from mien.vision.faces import (
    AtLandmarks,
    Box,
    Face,
    InBox,
    InShares,
    Middle,
    WholePicture,
    largest_first,
)
from tests.vision.portraits import Patches, Told, face, photograph

PICTURE = np.zeros((480, 640, 3), np.uint8)


def test_the_overlap_of_boxes_is_intersection_over_union() -> None:
    box = Box(0, 0, 10, 10)
    assert box.overlap(box) == 1
    assert box.overlap(Box(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert box.overlap(Box(0, 0, 5, 2)) == pytest.approx(0.1)
    assert box.overlap(Box(20, 20, 5, 5)) == 0
    assert Box(0, 0, 0, 0).overlap(Box(0, 0, 0, 0)) == 0
    assert Box(5, 5, -3, -3).area == 0


def test_a_face_moves_with_its_picture_and_back() -> None:
    """Landmarks are pixels' centres: twice the pixels bring (0, 0) to (0.5, 0.5)."""
    one = Face(Box(1, 2, 3, 4), TEMPLATE, 0.9)
    twice = one.moved(2, 10, 20)
    assert twice.box == Box(12, 24, 6, 8)
    assert twice.landmarks is not None
    np.testing.assert_allclose(twice.landmarks, (TEMPLATE + 0.5) * 2 - 0.5 + [10, 20], rtol=1e-6)
    back = one.moved(4).moved(1 / 4)
    assert back.landmarks is not None
    np.testing.assert_allclose(back.landmarks, TEMPLATE, atol=1e-4)
    assert back.box == one.box


def test_the_whole_picture_is_one_face_without_landmarks() -> None:
    (whole,) = WholePicture().detect(PICTURE)
    assert (whole.box, whole.landmarks, whole.score) == (Box(0, 0, 640, 480), None, 1.0)


@pytest.mark.parametrize(
    ("height", "width", "share", "box"),
    [
        (100, 60, 1.0, (0, 20, 60, 60)),
        (100, 60, 0.5, (15, 35, 30, 30)),
        (7, 7, 0.5, (1, 1, 4, 4)),
        (1, 1, 0.01, (0, 0, 1, 1)),
    ],
)
def test_the_middle_is_a_square_of_the_shorter_side(
    height: int, width: int, share: float, box: tuple[int, ...]
) -> None:
    (found,) = Middle(share).detect(np.zeros((height, width, 3), np.uint8))
    assert tuple(found.box) == box
    assert found.landmarks is None


def test_landmarks_of_a_caller_are_a_face_around_them() -> None:
    known = face(300, 200, scale=2, degrees=25)
    assert known.landmarks is not None
    (found,) = AtLandmarks(known.landmarks).detect(PICTURE)
    np.testing.assert_array_equal(np.asarray(found.landmarks), known.landmarks)
    x, y, width, height = found.box
    assert (x + width / 2, y + height / 2) == pytest.approx((300, 200), abs=0.1)
    assert (width, height) == pytest.approx((224, 224), abs=0.1)


@pytest.mark.parametrize(
    "marks",
    [np.zeros((4, 2)), np.zeros((5, 2)), np.full((5, 2), np.inf), np.zeros(10)],
    ids=["four", "one place", "infinite", "flat"],
)
def test_landmarks_that_are_none_are_refused(marks: np.ndarray) -> None:
    with pytest.raises(InvalidRequest, match="landmarks"):
        AtLandmarks(marks.astype(np.float32)).detect(PICTURE)


class TestInBox:
    def test_the_face_in_the_box_is_found_where_it_is_in_the_whole_picture(self) -> None:
        class Centre:
            name = "centre"

            def detect(self, picture: np.ndarray) -> list[Face]:
                height, width = picture.shape[:2]
                return [face(width / 2, height / 2, scale=1)]

        box = Box(300, 200, 80, 80)
        (found,) = InBox(box, Centre()).detect(PICTURE)
        assert found.landmarks is not None
        assert found.landmarks.mean(axis=0) == pytest.approx((341, 257), abs=0.7)
        assert found.box.overlap(box) > 0.9

    def test_of_several_it_is_the_one_that_overlaps_the_most(self) -> None:
        near, far = face(100, 100, 1), face(180, 100, 1)
        detector = Told((far, near), width=200)
        assert InBox(near.box, detector).detect(np.zeros((200, 200, 3), np.uint8)) != []
        (found,) = InBox(Box(0, 0, 200, 200), Told((face(100, 100, 2),), 200)).detect(
            np.zeros((200, 200, 3), np.uint8)
        )
        assert found.box.width == pytest.approx(158, abs=1)

    def test_a_face_elsewhere_is_not_taken_for_it(self) -> None:
        detector = Told((face(20, 20, 0.2),), width=400)
        assert (
            InBox(Box(200, 200, 100, 100), detector).detect(np.zeros((400, 400, 3), np.uint8)) == []
        )

    @pytest.mark.parametrize(
        "box",
        [Box(700, 0, 10, 10), Box(5, 5, 0, 10), Box(0, -90, 20, 20), Box(np.nan, 0, 5, 5)],
    )
    def test_a_box_without_a_pixel_is_refused(self, box: Box) -> None:
        with pytest.raises(InvalidRequest, match="no pixel of the picture of 640×480"):
            InBox(box, WholePicture()).detect(PICTURE)


def test_the_largest_comes_first_and_of_two_alike_the_surer() -> None:
    small, large, surer = face(9, 9, 1), face(9, 9, 2, score=0.8), face(9, 9, 2, score=0.9)
    assert largest_first([small, large, surer]) == [surer, large, small]


def test_a_portrait_of_these_tests_has_its_face_where_it_says() -> None:
    pixels = photograph(face(320, 240))
    assert (pixels[0, 0] == 90).all()
    assert pixels[200:280, 280:360].std() > 10


class TestInShares:
    """The box of a caller who does not know how many pixels the picture has."""

    @pytest.mark.parametrize(("height", "width"), [(480, 640), (960, 1280)])
    def test_it_is_the_box_of_as_many_pixels(self, height: int, width: int) -> None:
        scale = width / 640
        one, two = face(200 * scale, 240 * scale, 2 * scale), face(470 * scale, 240 * scale, scale)
        pixels = photograph(one, two, height=height, width=width)
        shares = Box(400 / 640, 170 / 480, 140 / 640, 140 / 480)
        (found,) = InShares(shares, Patches()).detect(pixels)
        in_pixels = Box(400 * scale, 170 * scale, 140 * scale, 140 * scale)
        (same,) = InBox(in_pixels, Patches()).detect(pixels)
        assert found.box == pytest.approx(same.box)
        assert found.box == pytest.approx(two.box, abs=2)

    def test_beside_the_picture_is_refused_as_of_pixels(self) -> None:
        with pytest.raises(InvalidRequest, match="no pixel"):
            InShares(Box(1.6, 0, 0.1, 0.1), Patches()).detect(photograph())
