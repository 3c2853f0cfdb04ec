import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.errors import InvalidRequest
from mien.vision.alignment import (
    TEMPLATE,
    Landmarks,
    Transform,
    align,
    scale_of,
    similarity,
    template,
)
from mien.vision.crops import crop


def moved(
    points: NDArray[np.float32], scale: float, degrees: float, shift: tuple[float, float]
) -> Landmarks:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(scale * points @ turn.T + np.array(shift), np.float32)


def applied(transform: Transform, points: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(3).uniform(0, 255, (7, 7, 3)).astype(np.float32)
    big = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(big, 0, 255), np.uint8)


@given(
    scale=st.floats(0.01, 50),
    degrees=st.floats(-180, 180),
    x=st.floats(-2000, 2000),
    y=st.floats(-2000, 2000),
)
def test_a_moved_template_is_brought_back_exactly(
    scale: float, degrees: float, x: float, y: float
) -> None:
    found = similarity(moved(TEMPLATE, scale, degrees, (x, y)), TEMPLATE)
    tolerance = 1e-2 if scale < 0.1 else 2e-3  # float32 landmarks, far from the origin
    rounding = np.hypot(x, y) * 1e-6 / scale
    back = applied(found, moved(TEMPLATE, scale, degrees, (x, y)))
    assert np.abs(back - TEMPLATE).max() < tolerance + rounding
    assert scale_of(found) == pytest.approx(1 / scale, rel=1e-3 + rounding)


def test_no_similarity_near_the_one_found_fits_better() -> None:
    """Least squares, against a search around it, for points that no similarity maps exactly."""
    random = np.random.default_rng(0)
    for _ in range(20):
        source = np.asarray(TEMPLATE * 3 + random.normal(0, 8, (5, 2)), np.float32)
        found = similarity(source, TEMPLATE)
        best = ((applied(found, source) - TEMPLATE) ** 2).sum()
        a, b = found[0, 0], found[1, 0]
        for da, db, dx, dy in random.normal(0, 1, (200, 4)) * [1e-3, 1e-3, 0.2, 0.2]:
            other = np.array(
                [[a + da, -b - db, found[0, 2] + dx], [b + db, a + da, found[1, 2] + dy]]
            )
            assert ((applied(other, source) - TEMPLATE) ** 2).sum() >= best


def test_it_is_the_solution_of_the_plain_linear_equations() -> None:
    """a·x − b·y + c = u, b·x + a·y + d = v, solved for a, b, c, d by a general solver."""
    random = np.random.default_rng(1)
    for _ in range(20):
        source = np.asarray(random.uniform(0, 900) + random.normal(0, 60, (5, 2)), np.float32)
        found = similarity(source, TEMPLATE)
        if np.linalg.det(found[:, :2]) <= 0 or scale_of(found) < 1e-3:
            continue
        rows, right = [], []
        for (x, y), (u, v) in zip(source.astype(float), TEMPLATE.astype(float), strict=True):
            rows += [[x, -y, 1, 0], [y, x, 0, 1]]
            right += [u, v]
        (a, b, c, d), *_ = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)
        np.testing.assert_allclose(found, [[a, -b, c], [b, a, d]], atol=1e-6)


def test_a_mirrored_face_is_turned_and_never_mirrored() -> None:
    mirrored = TEMPLATE * np.array([-1, 1], np.float32)
    assert np.linalg.det(similarity(mirrored, TEMPLATE)[:, :2]) > 0


@pytest.mark.parametrize("points", [np.full((5, 2), 7.0), np.full((5, 2), np.nan)])
def test_landmarks_without_an_extent_are_refused(points: NDArray[np.float64]) -> None:
    with pytest.raises(InvalidRequest, match="not all in one place"):
        similarity(points.astype(np.float32), TEMPLATE)


def test_a_crop_whose_landmarks_are_the_template_is_left_as_it_is() -> None:
    picture = smooth(112, 112)
    np.testing.assert_array_equal(align(picture, TEMPLATE, 112, 112), picture)


def test_a_shift_by_whole_pixels_and_a_quarter_turn_change_no_pixel() -> None:
    picture = smooth(300, 260)
    shifted = align(picture, np.asarray(TEMPLATE + np.array([31, 57]), np.float32), 112, 112)
    np.testing.assert_array_equal(shifted, picture[57 : 57 + 112, 31 : 31 + 112])
    turned = np.ascontiguousarray(np.rot90(picture[:112, :112], -1))  # clockwise
    x, y = TEMPLATE.T
    landmarks = np.stack([111 - y, x], axis=1).astype(np.float32)
    np.testing.assert_array_equal(align(turned, landmarks, 112, 112), picture[:112, :112])


@pytest.mark.parametrize("times", [2, 3, 5])
def test_a_whole_reduction_is_the_mean_of_blocks(times: int) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (112 * times, 112 * times, 3), np.uint8)
    landmarks = np.asarray((TEMPLATE + 0.5) * times - 0.5, np.float32)
    blocks = noise.reshape(112, times, 112, times, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(align(noise, landmarks, 112, 112) - blocks).max() <= 1


@pytest.mark.parametrize(("scale", "degrees"), [(0.6, 20), (1.7, -33), (3.4, 8), (6.2, 160)])
def test_every_pixel_is_as_the_slow_and_obvious_way_has_it(scale: float, degrees: float) -> None:
    picture = smooth(420, 380) // 2 + 100
    landmarks = moved(TEMPLATE - 56, scale, degrees, (190, 200))
    size = 12
    fast = align(picture, landmarks, size, size).astype(float)
    transform = similarity(landmarks, template(size, size))
    k = max(1, math.ceil(1 / scale_of(transform)))
    inverse = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))
    slow = np.zeros_like(fast)
    for row in range(size):
        for column in range(size):
            samples = [
                bilinear(
                    picture,
                    inverse @ [column + (i + 0.5) / k - 0.5, row + (j + 0.5) / k - 0.5, 1.0],
                )
                for i in range(k)
                for j in range(k)
            ]
            slow[row, column] = np.mean(samples, axis=0)
    inside = slow.min(axis=2) > 99  # the border of the picture is a step, where roundings show
    assert inside.mean() > 0.25
    assert np.abs(fast - slow)[inside].max() < 3
    assert np.abs(fast - slow)[inside].mean() < 0.6


def bilinear(picture: NDArray[np.uint8], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Black outside."""
    x, y = position[:2]
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(3)
    for column, row, share in (
        (left, top, (left + 1 - x) * (top + 1 - y)),
        (left + 1, top, (x - left) * (top + 1 - y)),
        (left, top + 1, (left + 1 - x) * (y - top)),
        (left + 1, top + 1, (x - left) * (y - top)),
    ):
        if 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]:
            value += share * picture[row, column]
    return value


def test_fine_stripes_become_grey_and_no_pattern() -> None:
    """What plain interpolation does wrong: it picks single stripes."""
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    landmarks = moved(TEMPLATE, 7.3, 0, (20, 20))
    aligned = align(stripes, landmarks, 112, 112)
    assert np.abs(aligned.astype(float) - 127.5).max() < 12
    plain = cv2.warpAffine(stripes, similarity(landmarks, TEMPLATE), (112, 112))
    assert np.abs(plain.astype(float) - 127.5).max() > 60


def test_a_smaller_crop_is_the_larger_one_scaled() -> None:
    picture = smooth(700, 700)
    landmarks = moved(TEMPLATE, 4.1, 12, (150, 60))
    scaled = crop(align(picture, landmarks, 112, 112), 80, 80)
    difference = align(picture, landmarks, 80, 80).astype(float) - scaled
    assert np.abs(difference).mean() < 0.5
    assert np.abs(difference).max() <= 3


def test_a_crop_that_is_no_square_keeps_the_shape_of_the_face() -> None:
    picture = smooth(400, 400)
    landmarks = moved(TEMPLATE, 1.5, -5, (90, 90))
    square = align(picture, landmarks, 64, 64)
    np.testing.assert_array_equal(align(picture, landmarks, 64, 100)[:, 18:82], square)
    np.testing.assert_array_equal(align(picture, landmarks, 96, 64)[16:80], square)


def test_outside_the_picture_is_black() -> None:
    white = np.full((60, 60, 3), 255, np.uint8)
    aligned = align(white, np.asarray(TEMPLATE - 56, np.float32), 112, 112)
    assert (aligned[57:, 57:] == 255).all()
    assert (aligned[:55] == 0).all()
    assert (aligned[:, :55] == 0).all()


def test_a_huge_face_takes_bounded_memory() -> None:
    picture = smooth(2000, 2000)
    landmarks = moved(TEMPLATE - 56, 4000, 0, (1000, 1000))
    assert align(picture, landmarks, 8, 8).shape == (8, 8, 3)
