"""MobileFaceNet: a small network for faces on weak processors."""

from torch import Tensor, nn

from mien_training.config.networks import MobileFace
from mien_training.config.recipe import Crop
from mien_training.networks.layers import activation, embedding_head, initialise

STEM, LAST = 64, 512
"""Channels of the first two convolutions and of the last 1×1 one (table 1 of Chen et al. 2018)."""
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion, channels, repeats and first stride (table 1 of Chen et al. 2018)."""


class MobileFaceNetwork(nn.Module):
    """A stem, inverted residuals, and a depthwise convolution over the whole last map.

    That convolution learns how much each place of a face counts, which an average would not.
    """

    def __init__(self, recipe: MobileFace, size: Crop, dimension: int) -> None:
        super().__init__()
        stem, last = _scaled(STEM, recipe.width), _scaled(LAST, recipe.width)
        self.stem = nn.Sequential(
            *_convolution(3, stem, 3, recipe.stem_stride), *_depthwise(stem, stride=1)
        )
        stages: list[nn.Module] = []
        inputs = stem
        for expansion, channels, repeats, stride in BOTTLENECKS:
            outputs = _scaled(channels, recipe.width)
            stages.append(_stage(inputs, outputs, expansion, repeats, stride))
            inputs = outputs
        self.stages = nn.Sequential(*stages, *_convolution(inputs, last, 1))
        sides = recipe.last_side(size.height), recipe.last_side(size.width)
        self.places = nn.Sequential(
            nn.Conv2d(last, last, sides, groups=last, bias=False), nn.BatchNorm2d(last)
        )
        self.head = embedding_head(last, dimension, recipe)
        initialise(self, recipe.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to raw embeddings [B, D]."""
        embeddings: Tensor = self.head(self.places(self.stages(self.stem(images))))
        return embeddings


class Bottleneck(nn.Module):
    """Sandler et al. 2018: widen, filter each channel, narrow without activation; plus the input.

    The input is added where it has the shape of the output.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * inputs
        self.residual = nn.Sequential(
            *_convolution(inputs, wide, 1),
            *_depthwise(wide, stride),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.keeps_shape = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        residual: Tensor = self.residual(maps)
        return maps + residual if self.keeps_shape else residual


def _stage(inputs: int, outputs: int, expansion: int, repeats: int, stride: int) -> nn.Sequential:
    rest = [Bottleneck(outputs, outputs, expansion, stride=1) for _ in range(repeats - 1)]
    return nn.Sequential(Bottleneck(inputs, outputs, expansion, stride), *rest)


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        activation("prelu", outputs),
    ]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        activation("prelu", channels),
    ]


def _scaled(channels: int, width: float) -> int:
    """Multiples of 8, as in MobileNet (Howard et al. 2017)."""
    return max(8, round(channels * width / 8) * 8)
