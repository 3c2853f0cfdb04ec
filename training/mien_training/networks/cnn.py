"""A plain convolutional network of any depth; LeNet and LeNets++ are such networks."""

from itertools import pairwise

from torch import Tensor, nn

from mien_training.config.networks import Cnn
from mien_training.config.recipe import Crop
from mien_training.networks.layers import (
    activation,
    embedding_head,
    initialise,
    linear,
    pooling,
)


class PlainNetwork(nn.Module):
    """Blocks of (convolution, batch normalisation, activation)×n and pooling, then linear layers.

    Without batch normalisation each layer has a bias instead.
    """

    def __init__(self, recipe: Cnn, size: Crop, dimension: int) -> None:
        super().__init__()
        inputs = (3, *recipe.channels[:-1])
        self.blocks = nn.Sequential(
            *(
                _block(recipe, *block)
                for block in zip(inputs, recipe.channels, recipe.by_block, strict=True)
            )
        )
        area = recipe.last_side(size.height) * recipe.last_side(size.width)
        widths = (recipe.channels[-1] * area, *recipe.hidden)
        self.hidden = nn.Sequential(*(_hidden(recipe, *pair) for pair in pairwise(widths)))
        self.head = _head(recipe, widths[-1], dimension)
        initialise(self, recipe.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to raw embeddings [B, D]."""
        embeddings: Tensor = self.head(self.hidden(self.blocks(images)))
        return embeddings


def _block(recipe: Cnn, inputs: int, outputs: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for repeat in range(convolutions):
        layers += [
            _convolution(recipe, outputs if repeat else inputs, outputs),
            *([nn.BatchNorm2d(outputs)] if recipe.batch_normalisation else []),
            activation(recipe.activation, outputs),
        ]
    return nn.Sequential(*layers, pooling(recipe.pooling, recipe.window, recipe.stride))


def _convolution(recipe: Cnn, inputs: int, outputs: int) -> nn.Conv2d:
    padding = recipe.kernel // 2 if recipe.padded else 0
    bias = not recipe.batch_normalisation
    return nn.Conv2d(inputs, outputs, recipe.kernel, padding=padding, bias=bias)


def _hidden(recipe: Cnn, inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Dropout(recipe.dropout),
        linear(inputs, outputs, recipe.drop_connect, bias=not recipe.batch_normalisation),
        *([nn.BatchNorm1d(outputs)] if recipe.batch_normalisation else []),
        activation(recipe.activation, outputs),
    )


def _head(recipe: Cnn, features: int, dimension: int) -> nn.Sequential:
    if recipe.batch_normalisation:
        return embedding_head(features, dimension, recipe)
    return nn.Sequential(
        nn.Flatten(),
        nn.Dropout(recipe.dropout),
        linear(features, dimension, recipe.drop_connect),
    )
