from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.errors import (
    ExtremePose,
    FaceTooSmall,
    InvalidArgument,
    LowBrightness,
    LowConfidence,
    LowSharpness,
)
from mien.vision.alignment import TEMPLATE
from mien.vision.faces import Face
from mien.vision.quality import REFUSE, WARN, Quality, faults, measure, pose
from tests.vision.portraits import face, photograph, profile

GOOD = Quality(
    score=0.93,
    min_side_px=131,
    eye_distance_px=59,
    sharpness=553,
    brightness=132,
    contrast=50,
    yaw=0.0,
    pitch=0.59,
    roll=0.0,
)
"""The medians of 640 photographs."""


def measured(pixels: np.ndarray, seen: Face) -> Quality:
    assert seen.landmarks is not None
    return measure(pixels, seen, seen.landmarks)


def test_the_template_looks_straight_ahead() -> None:
    yaw, pitch, roll = pose(TEMPLATE)
    assert abs(yaw) < 0.01
    assert 0.45 < pitch < 0.55
    assert abs(roll) < 1


@pytest.mark.parametrize("degrees", [-50, -10, 30])
def test_turning_and_enlarging_a_face_changes_its_roll_alone(degrees: float) -> None:
    still, turned = face(300, 300, 2).landmarks, face(200, 250, 3.3, degrees).landmarks
    assert still is not None
    assert turned is not None
    before, after = pose(still), pose(turned)
    assert after[:2] == pytest.approx(before[:2], abs=1e-4)
    assert after[2] - before[2] == pytest.approx(degrees, abs=1e-3)


def test_a_nose_towards_a_side_is_yaw_and_towards_the_mouth_pitch() -> None:
    marks = TEMPLATE.copy()
    marks[2] += [12, 0]
    assert pose(marks)[0] == pytest.approx(12 / 35.2, abs=0.02)
    marks[2] -= [24, 0]
    assert pose(marks)[0] == pytest.approx(-12 / 35.2, abs=0.02)
    marks = TEMPLATE.copy()
    marks[2] += [0, 8]
    assert pose(marks)[1] - pose(TEMPLATE)[1] == pytest.approx(8 / 40.7, abs=0.01)


def test_landmarks_in_one_place_have_no_pose_and_are_refused() -> None:
    marks = TEMPLATE.copy()
    marks[1] = marks[0]
    yaw, _, _ = pose(marks)
    assert isinstance(faults(replace(GOOD, yaw=yaw), REFUSE)[0], ExtremePose)
    marks = TEMPLATE.copy()
    marks[3:] = marks[:2]
    _, pitch, _ = pose(marks)
    assert isinstance(faults(replace(GOOD, pitch=pitch), REFUSE)[0], ExtremePose)


def test_sharpness_is_the_variance_of_the_laplacian_of_the_crop() -> None:
    """Against the definition, pixel by pixel."""
    pixels = photograph(seen := face(320, 240, 1.0))
    luma = cv2.cvtColor(pixels[184:296, 264:376], cv2.COLOR_RGB2GRAY)  # near the crop, unaligned
    assert measured(pixels, seen).brightness == pytest.approx(luma[16:100, 16:96].mean(), abs=2)
    aligned_at = face(55.5, 55.5, 1.0)
    alone = np.ascontiguousarray(photograph(aligned_at, height=112, width=112))
    inner = cv2.cvtColor(alone, cv2.COLOR_RGB2GRAY)[16:100, 16:96].astype(float)
    edged = np.pad(inner, 1, mode="reflect")
    slow = [
        edged[y - 1, x] + edged[y + 1, x] + edged[y, x - 1] + edged[y, x + 1] - 4 * edged[y, x]
        for y in range(1, edged.shape[0] - 1)
        for x in range(1, edged.shape[1] - 1)
    ]
    quality = measured(alone, aligned_at)
    assert quality.sharpness == pytest.approx(np.var(slow), rel=1e-6)
    assert quality.contrast == pytest.approx(inner.std(), rel=1e-6)


def test_a_blurred_face_is_less_sharp_and_a_darkened_one_less_bright() -> None:
    seen = face(320, 240)
    sharp = measured(photograph(seen), seen)
    blurred = measured(photograph(seen, blur=4), seen)
    assert blurred.sharpness < sharp.sharpness / 4
    assert blurred.brightness == pytest.approx(sharp.brightness, abs=3)
    dark = measured(photograph(seen) // 4, seen)
    assert dark.brightness == pytest.approx(sharp.brightness / 4, abs=1)
    assert dark.contrast < sharp.contrast / 3


def test_sizes_are_of_the_photograph_however_it_was_decoded() -> None:
    seen = face(160, 120, 1.0)
    assert seen.landmarks is not None
    pixels = photograph(seen, height=240, width=320)
    reduced = measure(pixels, seen, seen.landmarks, enlarged=4)
    assert reduced.min_side_px == pytest.approx(4 * 79)
    assert reduced.eye_distance_px == pytest.approx(4 * 35.24, abs=0.1)


def test_an_ordinary_face_has_no_fault_and_no_warning() -> None:
    assert faults(GOOD, REFUSE) == faults(GOOD, WARN) == ()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"score": 0.69}, LowConfidence),
        ({"min_side_px": 23}, FaceTooSmall),
        ({"sharpness": 9}, LowSharpness),
        ({"brightness": 20}, LowBrightness),
        ({"brightness": 240}, LowBrightness),
        ({"contrast": 7}, LowBrightness),
        ({"yaw": -0.8}, ExtremePose),
        ({"pitch": 0.2}, ExtremePose),
        ({"pitch": 0.9}, ExtremePose),
        ({"roll": 75}, ExtremePose),
        ({"yaw": float("nan")}, ExtremePose),
    ],
)
def test_each_measure_has_its_reason(
    change: dict[str, float], error: type[InvalidArgument]
) -> None:
    (fault,) = faults(replace(GOOD, **change), REFUSE)
    assert type(fault) is error
    assert "; take a picture" in str(fault)


def test_all_faults_are_told_and_the_limit_itself_passes() -> None:
    poor = replace(GOOD, score=0.1, min_side_px=3, sharpness=1, brightness=2, yaw=3)
    assert [fault.reason for fault in faults(poor, REFUSE)] == [
        "LOW_CONFIDENCE",
        "FACE_TOO_SMALL",
        "EXTREME_POSE",
        "LOW_SHARPNESS",
        "LOW_BRIGHTNESS",
    ]
    at_limit = replace(
        GOOD,
        score=REFUSE.score,
        min_side_px=REFUSE.min_side_px,
        sharpness=REFUSE.sharpness,
        brightness=REFUSE.brightness[0],
        contrast=REFUSE.contrast,
        yaw=-REFUSE.yaw,
        pitch=REFUSE.pitch[1],
        roll=REFUSE.roll,
    )
    assert faults(at_limit, REFUSE) == ()


def test_whatever_is_refused_would_have_been_warned_of() -> None:
    for name in ("score", "min_side_px", "sharpness", "contrast"):
        assert getattr(REFUSE, name) < getattr(WARN, name)
    for name in ("yaw", "roll"):
        assert getattr(REFUSE, name) > getattr(WARN, name)
    for name in ("brightness", "pitch"):
        (low, high), (warn_low, warn_high) = getattr(REFUSE, name), getattr(WARN, name)
        assert low < warn_low < warn_high < high


def test_a_profile_is_too_far_turned() -> None:
    seen = profile(320, 240)
    assert seen.landmarks is not None
    assert abs(pose(seen.landmarks)[0]) > REFUSE.yaw
