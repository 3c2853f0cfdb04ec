"""Networks: one file each, and the one function that builds what a recipe names."""

from torch import nn

from mien_training.config.networks import Cnn, Residual
from mien_training.config.recipe import Recipe
from mien_training.networks.cnn import PlainNetwork
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.networks.residual import ResidualNetwork


def build(recipe: Recipe) -> EmbeddingNetwork:
    """The network of a recipe with fresh weights, drawn from torch's generator."""
    return EmbeddingNetwork(_backbone(recipe), recipe.flip_embedding)


def _backbone(recipe: Recipe) -> nn.Module:
    match recipe.network:
        case Cnn():
            return PlainNetwork(recipe.network, recipe.crop, recipe.dimension)
        case Residual():
            return ResidualNetwork(recipe.network, recipe.crop, recipe.dimension)
