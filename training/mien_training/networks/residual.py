"""A small residual network for faces."""

from torch import Tensor, nn

from mien_training.config.networks import Residual
from mien_training.config.recipe import Crop
from mien_training.networks.layers import activation, convolution, embedding_head, initialise


class ResidualNetwork(nn.Module):
    """A 3×3 stem, stages of residual blocks, and a head over the whole last map.

    As in ArcFace's networks for 112 px, the stem keeps the size and each stage halves it.
    """

    def __init__(self, recipe: Residual, size: Crop, dimension: int) -> None:
        super().__init__()
        first, last = recipe.channels[0], recipe.channels[-1]
        self.stem = nn.Sequential(
            convolution(3, first), nn.BatchNorm2d(first), activation("prelu", first)
        )
        inputs = (first, *recipe.channels[:-1])
        shapes = zip(inputs, recipe.channels, recipe.blocks, strict=True)
        self.stages = nn.Sequential(*(_stage(*shape) for shape in shapes))
        area = recipe.last_side(size.height) * recipe.last_side(size.width)
        self.head = embedding_head(last * area, dimension, recipe)
        initialise(self, recipe.initialisation)
        for block in self.modules():
            if isinstance(block, Block):
                block.start_as_identity()

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to raw embeddings [B, D]."""
        embeddings: Tensor = self.head(self.stages(self.stem(images)))
        return embeddings


class Block(nn.Module):
    """The improved residual unit of ArcFace: BN, conv, BN, PReLU, conv, BN, plus the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.last = nn.BatchNorm2d(outputs)
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            convolution(inputs, outputs),
            nn.BatchNorm2d(outputs),
            activation("prelu", outputs),
            convolution(outputs, outputs, stride=stride),
            self.last,
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                convolution(inputs, outputs, size=1, stride=stride), nn.BatchNorm2d(outputs)
            )

    def start_as_identity(self) -> None:
        """Zero the last scale, so that each block starts as its shortcut (Goyal et al. 2017)."""
        nn.init.zeros_(self.last.weight)

    def forward(self, maps: Tensor) -> Tensor:
        summed: Tensor = self.residual(maps) + self.shortcut(maps)
        return summed


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    rest = [Block(outputs, outputs, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(inputs, outputs, stride=2), *rest)
