import numpy as np

from mien.vision.crops import crop
from tests.faces import picture


def test_a_picture_of_the_right_size_is_untouched() -> None:
    np.testing.assert_array_equal(crop(picture(1, 1), 48, 48), picture(1, 1))


def test_a_picture_is_scaled_to_height_and_width() -> None:
    assert crop(picture(1, 1), 30, 20).shape == (30, 20, 3)
    assert crop(picture(1, 1), 90, 70).shape == (90, 70, 3)


def test_shrinking_averages_areas() -> None:
    checkerboard = np.indices((8, 8)).sum(axis=0) % 2 * 200
    pixels = np.repeat(checkerboard[..., None], 3, axis=2).astype(np.uint8)
    assert (crop(pixels, 4, 4) == 100).all()
