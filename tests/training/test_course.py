"""The course's worked examples: what it computes on paper, computed by our layers and torch."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mien_training.networks.layers import activation, convolution, pooling

SIX_BY_SIX = [
    [1, 0, 0, 0, 0, 1],
    [0, 1, 0, 0, 1, 0],
    [0, 0, 1, 1, 0, 0],
    [1, 0, 0, 0, 1, 0],
    [0, 1, 0, 0, 1, 0],
    [0, 0, 1, 0, 1, 0],
]
FILTER_1 = [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
FILTER_2 = [[-1, 1, -1], [-1, 1, -1], [-1, 1, -1]]
MAP_1 = [[3, -1, -3, -1], [-3, 1, 0, -3], [-3, -3, 0, 1], [3, -2, -2, -1]]
MAP_2 = [[-1, -1, -1, -1], [-1, -1, -2, 1], [-1, -1, -2, 1], [-1, 0, -4, 3]]

FIVE_BY_FIVE = [
    [1, 1, 1, 0, 0],
    [0, 1, 1, 1, 0],
    [0, 0, 1, 1, 1],
    [0, 0, 1, 1, 0],
    [0, 1, 1, 0, 0],
]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]

FOUR_BY_FOUR = [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]

GAUSSIAN_7 = [
    [1, 1, 2, 2, 2, 1, 1],
    [1, 2, 2, 4, 2, 2, 1],
    [2, 2, 4, 8, 4, 2, 2],
    [2, 4, 8, 16, 8, 4, 2],
    [2, 2, 4, 8, 4, 2, 2],
    [1, 2, 2, 4, 2, 2, 1],
    [1, 1, 2, 2, 2, 1, 1],
]
GAUSSIAN_15 = [
    [2, 2, 3, 4, 5, 5, 6, 6, 6, 5, 5, 4, 3, 2, 2],
    [2, 3, 4, 5, 7, 7, 8, 8, 8, 7, 7, 5, 4, 3, 2],
    [3, 4, 6, 7, 9, 10, 10, 11, 10, 10, 9, 7, 6, 4, 3],
    [4, 5, 7, 9, 10, 12, 13, 13, 13, 12, 10, 9, 7, 5, 4],
    [5, 7, 9, 11, 13, 14, 15, 16, 15, 14, 13, 11, 9, 7, 5],
    [5, 7, 10, 12, 14, 16, 17, 18, 17, 16, 14, 12, 10, 7, 5],
    [6, 8, 10, 13, 15, 17, 19, 19, 19, 17, 15, 13, 10, 8, 6],
    [6, 8, 11, 13, 16, 18, 19, 20, 19, 18, 16, 13, 11, 8, 6],
    [6, 8, 10, 13, 15, 17, 19, 19, 19, 17, 15, 13, 10, 8, 6],
    [5, 7, 10, 12, 14, 16, 17, 18, 17, 16, 14, 12, 10, 7, 5],
    [5, 7, 9, 11, 13, 14, 15, 16, 15, 14, 13, 11, 9, 7, 5],
    [4, 5, 7, 9, 10, 12, 13, 13, 13, 12, 10, 9, 7, 5, 4],
    [3, 4, 6, 7, 9, 10, 10, 11, 10, 10, 9, 7, 6, 4, 3],
    [2, 3, 4, 5, 7, 7, 8, 8, 8, 7, 7, 5, 4, 3, 2],
    [2, 2, 3, 4, 5, 5, 6, 6, 6, 5, 5, 4, 3, 2, 2],
]


def maps(*planes: list[list[int]]) -> Tensor:
    """One picture of so many channels, float [1, C, H, W]."""
    return torch.tensor([planes], dtype=torch.float32)


def filters(*kernels: list[list[int]]) -> Tensor:
    """Filters for pictures of one channel, float [filters, 1, h, w]."""
    return maps(*kernels).transpose(0, 1)


@pytest.mark.parametrize(
    ("kernel", "stride", "expected"),
    [(FILTER_1, 1, MAP_1), (FILTER_1, 2, [[3, -3], [-3, 0]]), (FILTER_2, 1, MAP_2)],
    ids=["filter 1, stride 1", "filter 1, stride 2", "filter 2, stride 1"],
)
def test_the_six_by_six_picture_under_a_filter(
    kernel: list[list[int]], stride: int, expected: list[list[int]]
) -> None:
    response = F.conv2d(maps(SIX_BY_SIX), filters(kernel), stride=stride)
    assert torch.equal(response, maps(expected))


def test_two_filters_give_two_maps_and_pooling_leaves_two_by_two_of_each() -> None:
    response = F.conv2d(maps(SIX_BY_SIX), filters(FILTER_1, FILTER_2))
    assert torch.equal(response, maps(MAP_1, MAP_2))
    assert torch.equal(pooling("max", 2, 2)(response), maps([[3, 0], [3, 1]], [[-1, 1], [0, 3]]))


def test_the_five_by_five_picture_under_its_kernel() -> None:
    response = F.conv2d(maps(FIVE_BY_FIVE), filters(CROSS))
    assert torch.equal(response, maps([[4, 3, 4], [2, 4, 3], [2, 3, 4]]))


def test_max_pooling_of_the_four_by_four_picture() -> None:
    assert torch.equal(pooling("max", 2, 2)(maps(FOUR_BY_FOUR)), maps([[6, 8], [3, 4]]))


@pytest.mark.parametrize("side", [5, 6, 32])
def test_ten_filters_over_five_channels(side: int) -> None:
    """The course gives filters of 3×3×5, so the input has 5 channels; its side is left open.

    Assumed are a square input of `side` and, where it says zero padding, a border of one zero.
    """
    picture = torch.zeros(1, 5, side, side)
    kernels = torch.zeros(10, 5, 3, 3)
    assert convolution(5, 10)(picture).shape == (1, 10, side, side)
    assert F.conv2d(picture, kernels).shape == (1, 10, side - 2, side - 2)
    assert kernels[0].numel() == 45


def test_a_hundred_filters_of_ten_by_ten_are_ten_thousand_weights_whatever_the_picture() -> None:
    weight = convolution(1, 100, size=10).weight
    assert weight.numel() == 10_000


def test_a_leaky_relu_lets_a_hundredth_through() -> None:
    values = torch.tensor([-2.0, 0.0, 3.0])
    torch.testing.assert_close(activation("leaky_relu", 1)(values), torch.tensor([-0.02, 0.0, 3.0]))


def gaussian(side: int, sigma: float) -> Tensor:
    """exp(-(x² + y²) / 2σ²), float64 [side, side]; the middle is 1."""
    line = torch.arange(side, dtype=torch.float64) - side // 2
    return torch.exp(-(line**2 + line[:, None] ** 2) / (2 * sigma**2))


def test_the_15_by_15_mask_is_a_gaussian_of_4_5_but_for_four_slips() -> None:
    """σ = 4.5, scaled by 19.76 and rounded to the nearest, gives 221 of the 225 entries.

    In the four others the mask has 10 where its own transpose has 11, and so has the Gaussian;
    no Gaussian has two values at one distance. σ from 4.495 to 4.53 do as well, none does better.
    """
    mask = torch.tensor(GAUSSIAN_15)
    ours = (19.76 * gaussian(15, 4.5)).round().long()
    slips = (ours != mask).nonzero().tolist()
    assert slips == [[3, 4], [3, 10], [11, 4], [11, 10]]
    assert all(
        [int(mask[y, x]), int(mask[x, y]), int(ours[y, x])] == [10, 11, 11] for y, x in slips
    )


@pytest.mark.parametrize("sigma", [4.49, 4.54])
def test_beside_those_widths_no_scale_gives_as_much_of_the_15_by_15_mask(sigma: float) -> None:
    assert _most_equal(torch.tensor(GAUSSIAN_15), [sigma]) < 221


def test_no_gaussian_has_the_7_by_7_mask_however_scaled() -> None:
    """A Gaussian falls by one factor for each unit of x² + y². The mask does not, by far.

    From 1 to 2 it falls from 8 to 4, at most by 4.5/7.5 if rounding is allowed for; from 2 to 4,
    two units, it does not fall, so by at least 3.5/4.5. The nearest by least squares is σ = 1.32.
    """
    mask = torch.tensor(GAUSSIAN_7)
    at = {1: mask[3, 4], 2: mask[2, 4], 4: mask[3, 5]}
    assert at == {1: 8, 2: 4, 4: 4}
    most, least = 4.5 / 7.5, math.sqrt(3.5 / 4.5)  # of the factor for one unit
    assert most < least


def test_rounding_the_nearest_gaussians_gives_32_of_49_entries_of_the_7_by_7_mask() -> None:
    sigmas = [hundredth / 100 for hundredth in range(50, 400, 2)]
    assert _most_equal(torch.tensor(GAUSSIAN_7), sigmas) == 32
    assert _most_equal(torch.tensor(GAUSSIAN_7), [1.66]) == 32


def test_the_7_by_7_mask_halves_with_each_pixel_of_distance_to_within_one_halving() -> None:
    """What it is instead: powers of two, 16·2^-r, which is exponential in r, not in r²."""
    exponent = torch.tensor(GAUSSIAN_7).double().log2()
    line = torch.arange(7, dtype=torch.float64) - 3
    distance = torch.hypot(line, line[:, None])
    assert torch.equal(exponent, exponent.round())
    assert (exponent - (4 - distance)).abs().max() < 1


def _most_equal(mask: Tensor, sigmas: list[float]) -> int:
    """Entries that some scale times some of these Gaussians, when rounded, shares with a mask."""
    scales = torch.arange(0.4, 1.2, 0.001, dtype=torch.float64) * mask.max()  # [S]
    masks = [(scales[:, None, None] * gaussian(len(mask), sigma)).round() for sigma in sigmas]
    return max(int((ours == mask).sum(dim=(1, 2)).max()) for ours in masks)
