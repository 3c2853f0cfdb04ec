"""Layers that several networks share."""

from math import sqrt

from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.layers import Activation, He, Initialisation, Normal, Pooling, Xavier
from mien_training.config.networks import Backbone

LEAK = 0.01
"""Slope of a leaky ReLU below 0 (Maas et al. 2013)."""


class DropConnect(nn.Linear):
    """A linear layer that leaves out single weights and biases (Wan et al. 2013).

    The kept ones grow by 1/(1 - probability), so that the output is right on average; without
    training all are kept, where the paper samples. One draw serves the whole batch, where the
    paper draws for each picture: that would take B times the memory of the weights.
    """

    def __init__(self, inputs: int, outputs: int, probability: float, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        """[B, inputs] to [B, outputs]."""
        bias = None if self.bias is None else self._thinned(self.bias)
        return F.linear(features, self._thinned(self.weight), bias)

    def _thinned(self, part: Tensor) -> Tensor:
        return F.dropout(part, self.probability, self.training)


class SumPool2d(nn.Module):
    """The sum over each window, [B, C, H, W] to [B, C, h, w]: the average times the area."""

    def __init__(self, window: int, stride: int) -> None:
        super().__init__()
        self.average = nn.AvgPool2d(window, stride)
        self.area = window**2

    def forward(self, maps: Tensor) -> Tensor:
        sums: Tensor = self.average(maps) * self.area
        return sums


class PReLU(nn.PReLU):
    """A slope for each channel (He et al. 2015); in evaluation as relu, products and a sum.

    Those onnxruntime computes in the layout that its convolutions have, which it leaves for PRelu
    and goes back to: a residual network embeds 1.3 times as many crops a second (docs/networks.md).
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Float [B, C, H, W], or [B, C], to the same."""
        if self.training:
            return super().forward(maps)
        slopes = self.weight.reshape(-1, *[1] * (maps.ndim - 2))
        return slopes * maps + (1 - slopes) * F.relu(maps)


def activation(name: Activation, channels: int) -> nn.Module:
    """An activation; PReLU learns one slope for each of `channels`."""
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(LEAK, inplace=True)
        case "prelu":
            return PReLU(channels)
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()


def pooling(name: Pooling, window: int, stride: int) -> nn.Module:
    """Square windows without padding; those that would reach beyond the edge are left out."""
    match name:
        case "max":
            return nn.MaxPool2d(window, stride)
        case "average":
            return nn.AvgPool2d(window, stride)
        case "sum":
            return SumPool2d(window, stride)


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Padded to keep the size at stride 1, without a bias: batch normalisation follows it."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def linear(inputs: int, outputs: int, drop_connect: float, bias: bool = True) -> nn.Linear:
    """[B, inputs] to [B, outputs], with DropConnect where there is any."""
    if drop_connect:
        return DropConnect(inputs, outputs, drop_connect, bias)
    return nn.Linear(inputs, outputs, bias)


def embedding_head(features: int, dimension: int, recipe: Backbone) -> nn.Sequential:
    """Feature maps [B, C, h, w] with C·h·w = `features` to raw embeddings [B, `dimension`].

    Dropout, linear, batch normalisation: the output setting E of ArcFace (Deng et al. 2019)
    without its first normalisation. The last one has no shift, so that cosines keep their middle.
    """
    normalisation = nn.BatchNorm1d(dimension)
    normalisation.bias.requires_grad_(False)
    return nn.Sequential(
        nn.Flatten(),
        nn.Dropout(recipe.dropout),
        linear(features, dimension, recipe.drop_connect, bias=False),
        normalisation,
    )


def initialise(network: nn.Module, recipe: Initialisation) -> None:
    """Normal weights of the recipe's deviation in every convolution and linear layer; no biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=_deviation(recipe, module))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _deviation(recipe: Initialisation, layer: nn.Conv2d | nn.Linear) -> float:
    before, after = _fans(layer)
    match recipe:
        case He():
            return sqrt(2 / {"in": before, "out": after}[recipe.fan])
        case Xavier():
            mean = (before + after) / 2
            return sqrt(1 / {"in": before, "out": after, "mean": mean}[recipe.fan])
        case Normal():
            return recipe.deviation


def _fans(layer: nn.Conv2d | nn.Linear) -> tuple[int, int]:
    """How many units a unit hears, and how many hear it."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    area = layer.kernel_size[0] * layer.kernel_size[1]
    return layer.in_channels // layer.groups * area, layer.out_channels // layer.groups * area
