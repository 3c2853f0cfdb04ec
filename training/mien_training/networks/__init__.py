"""Networks: one file each, and the one function that builds what a recipe names."""

from torch import nn

from mien_training.config.networks import (
    Autoencoder,
    Cnn,
    LeNet,
    LeNetPlus,
    MobileFace,
    MobileNetV3,
    Residual,
    ResNet,
    Siamese,
)
from mien_training.config.recipe import Recipe
from mien_training.networks.autoencoder import AutoencoderNetwork
from mien_training.networks.cnn import PlainNetwork
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.networks.imagenet import ImageNetNetwork
from mien_training.networks.mobile_face import MobileFaceNetwork
from mien_training.networks.residual import ResidualNetwork
from mien_training.networks.siamese import SiameseNetwork


def build(recipe: Recipe) -> EmbeddingNetwork:
    """The network of a recipe with fresh weights, drawn from torch's generator."""
    network, crop, dimension = recipe.network, recipe.crop, recipe.dimension
    backbone: nn.Module
    match network:
        case Cnn():
            backbone = PlainNetwork(network, crop, dimension)
        case LeNet() | LeNetPlus():
            backbone = PlainNetwork(network.plain(), crop, dimension)
        case Siamese():
            backbone = SiameseNetwork(network, crop, dimension)
        case Residual():
            backbone = ResidualNetwork(network, crop, dimension)
        case MobileFace():
            backbone = MobileFaceNetwork(network, crop, dimension)
        case ResNet() | MobileNetV3():
            backbone = ImageNetNetwork(network, dimension)
        case Autoencoder():
            backbone = AutoencoderNetwork(network, crop, dimension)
    return EmbeddingNetwork(backbone, recipe.flip_embedding)
