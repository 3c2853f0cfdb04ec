"""Empty charts, and colours that are told apart."""

import io
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from mien_training.lab import figure
from mien_training.lab.experiments.center_toy import CLASS_COLOURS
from mien_training.lab.record import Curve

SEEN_BY: dict[str, npt.ArrayLike] = {
    "all": np.eye(3),
    "who sees no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "who sees no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "who sees no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1."""
APART = 15.0
"""In CIELAB, where about 2 are just told apart."""


def seen(colours: tuple[str, ...], matrix: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """[N, 3], CIELAB."""
    rgb = np.array([list(bytes.fromhex(colour[1:])) for colour in colours]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(linear @ np.asarray(matrix).T, 0, 1)
    back = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return np.asarray(cv2.cvtColor(back[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0])


@pytest.mark.parametrize("who", SEEN_BY)
@pytest.mark.parametrize("colours", [figure.COLOURS, CLASS_COLOURS], ids=["8", "10"])
def test_every_two_colours_are_told_apart_and_from_white(
    colours: tuple[str, ...], who: str
) -> None:
    found = seen((*colours, "#FFFFFF"), SEEN_BY[who])
    for one, other in combinations(range(len(found)), 2):
        assert np.linalg.norm(found[one] - found[other]) > APART, (one, other)


def test_lines_and_bars_are_drawn_by_name() -> None:
    drawn, (left, right) = figure.grid(3.0, columns=2)
    figure.lines(left, [Curve.of("loss", name, [1, 2], [3, 4]) for name in "abcde"])
    assert [line.get_label() for line in left.get_lines()] == list("abcde")
    looks = {(line.get_color(), line.get_linestyle()) for line in left.get_lines()}
    assert len(looks) == 5
    figure.bars(right, ["a", "b"], [[1.0, 3.0], [5.0]], "error (%)")
    widths = [bar.get_path().get_extents(bar.get_patch_transform()).width for bar in right.patches]
    assert widths == pytest.approx([2, 5]), "means"
    (dots,) = right.get_lines()
    assert np.asarray(dots.get_xdata()).tolist() == [1, 3], "of several seeds alone"
    assert right.get_xlabel() == "error (%)"
    with Image.open(io.BytesIO(figure.png_of(drawn))) as picture:
        assert picture.size == (990, 330)
    assert figure.png_of(drawn) == figure.png_of(drawn)
