"""docs/photographs.md has the limits, digests and policies as they are."""

import re
from pathlib import Path
from typing import get_args

import pytest

from mien.errors import FaceRefused, tree
from mien.vision.cropper import DECODED_SIDE
from mien.vision.detector_file import KNOWN
from mien.vision.quality import REFUSE, WARN
from mien.vision.selection import MultiFace
from mien.vision.yunet import LEAST_SCORE, SIDE

TEXT = (Path(__file__).parents[2] / "docs" / "photographs.md").read_text()
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines()]


def numbers(*values: float | tuple[float, float]) -> list[float]:
    return [x for value in values for x in (value if isinstance(value, tuple) else (value,))]


@pytest.mark.parametrize(
    ("begins", "name"),
    [
        ("score of the detector", "score"),
        ("shorter side of the box", "min_side_px"),
        ("yaw: ", "yaw"),
        ("pitch: ", "pitch"),
        ("roll, degrees", "roll"),
        ("variance of the Laplacian", "sharpness"),
        ("mean luma", "brightness"),
        ("its standard deviation", "contrast"),
    ],
)
def test_each_limit_is_said_as_it_is(begins: str, name: str) -> None:
    (row,) = [row for row in ROWS if len(row) == 4 and row[1].startswith(begins)]
    said = [float(number) for cell in row[2:] for number in re.findall(r"[\d.]+", cell)]
    assert said == numbers(getattr(REFUSE, name), getattr(WARN, name))


def test_every_reason_and_policy_is_named() -> None:
    for error in tree(FaceRefused):
        if error is not FaceRefused:
            assert f"`{error.reason}`" in TEXT
    for policy in get_args(MultiFace):
        assert [row for row in ROWS if row and row[0] == f"`{policy}`"]


def test_the_detectors_are_named_by_their_digests() -> None:
    for known in KNOWN:
        assert known.sha256 in TEXT
        assert f"`{known.name}`" in TEXT


def test_sizes_and_scores_are_those_of_the_code() -> None:
    assert f"at most {SIDE} pixels" in TEXT
    assert f"as long as {DECODED_SIDE:,} are left" in TEXT
    assert f"below {LEAST_SCORE} is no face" in TEXT
