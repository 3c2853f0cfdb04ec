"""A plain convolutional network of any depth."""

from torch import Tensor, nn

from mien_training.config.networks import Cnn
from mien_training.config.recipe import Crop
from mien_training.networks.layers import activation, convolution, embedding_head, initialise


class PlainNetwork(nn.Module):
    """Blocks of (convolution, batch normalisation, activation)×n and 2×2 pooling, then a head."""

    def __init__(self, recipe: Cnn, size: Crop, dimension: int) -> None:
        super().__init__()
        inputs = (3, *recipe.channels[:-1])
        self.blocks = nn.Sequential(
            *(_block(recipe, *pair) for pair in zip(inputs, recipe.channels, strict=True))
        )
        halvings = len(recipe.channels)
        area = (size.height >> halvings) * (size.width >> halvings)
        self.head = embedding_head(recipe.channels[-1] * area, dimension, recipe.dropout)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to raw embeddings [B, D]."""
        embeddings: Tensor = self.head(self.blocks(images))
        return embeddings


def _block(recipe: Cnn, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for repeat in range(recipe.convolutions):
        layers += [
            convolution(outputs if repeat else inputs, outputs),
            nn.BatchNorm2d(outputs),
            activation(recipe.activation, outputs),
        ]
    pooling = nn.MaxPool2d(2) if recipe.pooling == "max" else nn.AvgPool2d(2)
    return nn.Sequential(*layers, pooling)
