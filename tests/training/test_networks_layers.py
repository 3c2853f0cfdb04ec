"""Layers: pooling, DropConnect, and first weights."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from mien_training.config.layers import He, Initialisation, Normal, Xavier, padded, unpadded
from mien_training.networks.layers import (
    DropConnect,
    SumPool2d,
    activation,
    convolution,
    initialise,
    linear,
    pooling,
)


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (3, 1)])
def test_a_sum_is_the_average_times_the_area(window: int, stride: int) -> None:
    maps = torch.randn(2, 3, 9, 8)
    sums = pooling("sum", window, stride)(maps)
    torch.testing.assert_close(sums, window**2 * nn.AvgPool2d(window, stride)(maps))
    corner = maps[:, :, :window, :window].sum(dim=(2, 3))
    torch.testing.assert_close(sums[:, :, 0, 0], corner)


@pytest.mark.parametrize(
    ("side", "window", "stride", "left"),
    [
        (112, 2, 2, 56),
        (55, 3, 2, 27),  # the overlapping pooling of Krizhevsky et al. 2012
        (13, 3, 2, 6),
        (5, 3, 1, 3),
        (7, 2, 2, 3),
        (7, 2, 3, 2),
    ],
)
def test_the_side_after_pooling(side: int, window: int, stride: int, left: int) -> None:
    assert unpadded(side, window, stride) == left
    maps = torch.zeros(1, 1, side, side)
    for name in ("max", "average", "sum"):
        assert pooling(name, window, stride)(maps).shape == (1, 1, left, left)


@pytest.mark.parametrize(("size", "stride"), [*product([1, 3, 5], [1, 2, 4])])
def test_the_side_after_a_padded_convolution(size: int, stride: int) -> None:
    for side in range(1, 12):
        maps = convolution(1, 1, size, stride)(torch.zeros(1, 1, side, side))
        assert maps.shape[2:] == (padded(side, stride),) * 2


def test_what_is_too_small_stays_so() -> None:
    assert unpadded(3, 4, 1) <= 0
    assert unpadded(unpadded(3, 9, 2), 2, 2) <= 0
    assert padded(unpadded(3, 9, 2), 2) <= 0


def test_the_sum_keeps_no_weights() -> None:
    assert not SumPool2d(2, 2).state_dict()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0.0, 0.0, 2.0]),
        ("leaky_relu", [-0.01, 0.0, 2.0]),
        ("prelu", [-0.25, 0.0, 2.0]),
        ("tanh", [math.tanh(-1), 0.0, math.tanh(2)]),
        ("sigmoid", [1 / (1 + math.e), 0.5, 1 / (1 + math.exp(-2))]),
    ],
)
def test_an_activation(name: str, expected: list[float]) -> None:
    values = torch.tensor([[-1.0], [0.0], [2.0]])
    result = activation(name, 1)(values).flatten()  # type: ignore[arg-type]
    torch.testing.assert_close(result.detach(), torch.tensor(expected))


def test_drop_connect_is_right_on_average() -> None:
    torch.manual_seed(1)
    layer = DropConnect(20, 5, probability=0.4)
    features = torch.randn(3, 20)
    with torch.no_grad():
        draws = torch.stack([layer(features) for _ in range(4000)])
        plain = layer.eval()(features)
    error = draws.std(dim=0) / math.sqrt(4000)
    assert ((draws.mean(dim=0) - plain).abs() < 5 * error).all()


def test_drop_connect_leaves_out_its_share_of_single_weights_and_scales_the_rest() -> None:
    torch.manual_seed(1)
    layer = DropConnect(100, 80, probability=0.3, bias=False)
    nn.init.ones_(layer.weight)
    thinned = layer(torch.eye(100))  # the weights as they were used, [100, 80]
    assert (thinned == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    kept = thinned[thinned != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / 0.7))
    assert not torch.equal(thinned, layer(torch.eye(100)))


def test_drop_connect_gives_no_gradient_to_what_it_left_out() -> None:
    torch.manual_seed(1)
    layer = DropConnect(6, 4, probability=0.5)
    layer(torch.ones(2, 6)).sum().backward()
    assert layer.weight.grad is not None
    assert set(layer.weight.grad.unique().tolist()) == {0.0, 4.0}


def test_in_evaluation_drop_connect_is_a_linear_layer() -> None:
    layer = DropConnect(6, 4, probability=0.5).eval()
    features = torch.randn(3, 6)
    assert torch.equal(layer(features), nn.functional.linear(features, layer.weight, layer.bias))


def test_without_drop_connect_a_linear_layer_is_torchs() -> None:
    assert type(linear(6, 4, drop_connect=0.0)) is nn.Linear
    assert isinstance(linear(6, 4, drop_connect=0.1), DropConnect)


HE_IN, HE_OUT = He(kind="he", fan="in"), He(kind="he", fan="out")
XAVIER_IN, XAVIER_OUT = Xavier(kind="xavier", fan="in"), Xavier(kind="xavier", fan="out")


@pytest.mark.parametrize(
    ("recipe", "variance"),
    [
        (HE_IN, 2 / 200),  # the course's form
        (HE_OUT, 2 / 600),
        (XAVIER_IN, 1 / 200),  # the course's form
        (XAVIER_OUT, 1 / 600),
        (Xavier(kind="xavier"), 2 / (200 + 600)),
        (Normal(kind="normal", deviation=0.5), 0.25),
    ],
)
def test_the_variance_of_a_linear_layer(recipe: Initialisation, variance: float) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(200, 600)
    initialise(layer, recipe)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.03)
    assert layer.weight.mean().abs().item() < 5 * math.sqrt(variance / layer.weight.numel())
    assert not layer.bias.any()


@pytest.mark.parametrize(
    ("recipe", "variance"),
    [
        (HE_IN, 2 / (9 * 40)),
        (HE_OUT, 2 / (9 * 80)),
        (Xavier(kind="xavier"), 2 / (9 * 40 + 9 * 80)),
    ],
)
def test_a_unit_of_a_convolution_hears_its_window_in_every_map_of_its_group(
    recipe: Initialisation, variance: float
) -> None:
    torch.manual_seed(1)
    whole, grouped = nn.Conv2d(40, 80, 3), nn.Conv2d(160, 320, 3, groups=4)
    for layer in (whole, grouped):
        initialise(layer, recipe)
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize(
    ("name", "recipe", "low", "high"),
    [
        ("relu", HE_IN, 0.3, 3.0),
        ("tanh", XAVIER_IN, 0.05, 1.0),
        ("relu", Normal(kind="normal", deviation=1.0), 1e6, math.inf),  # explodes
        ("relu", Normal(kind="normal", deviation=0.01), 0.0, 1e-6),  # vanishes
    ],
)
def test_twenty_layers_keep_the_size_of_what_goes_through_them_or_do_not(
    name: str, recipe: Initialisation, low: float, high: float
) -> None:
    """The course's experiment: torch.randn(512) through many layers of large or small weights."""
    torch.manual_seed(1)
    layers = [nn.Sequential(nn.Linear(512, 512), activation(name, 512)) for _ in range(20)]  # type: ignore[arg-type]
    deep = nn.Sequential(*layers)
    initialise(deep, recipe)
    with torch.no_grad():
        size = deep(torch.randn(512)).square().mean().sqrt().item()
    assert low <= size <= high
