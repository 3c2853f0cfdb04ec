"""Torchvision's networks for ImageNet, without its weights and with our head."""

from torch import Tensor, nn
from torchvision import models

from mien_training.config.layers import He
from mien_training.config.networks import MobileNetV3, ResNet
from mien_training.networks.layers import embedding_head, initialise

RESNETS = {18: models.resnet18, 34: models.resnet34, 50: models.resnet50}
MOBILENETS = {"small": models.mobilenet_v3_small, "large": models.mobilenet_v3_large}


class ImageNetNetwork(nn.Module):
    """Convolutions with torchvision's own first weights, their average over places, and a head."""

    def __init__(self, recipe: ResNet | MobileNetV3, dimension: int) -> None:
        super().__init__()
        self.trunk, features = _trunk(recipe)
        self.head = embedding_head(features, dimension, recipe)
        initialise(self.head, He(kind="he"))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to raw embeddings [B, D]."""
        embeddings: Tensor = self.head(self.trunk(images))
        return embeddings


def _trunk(recipe: ResNet | MobileNetV3) -> tuple[nn.Module, int]:
    """Images to [B, features], and how many features there are."""
    match recipe:
        case ResNet():
            resnet = RESNETS[recipe.depth](weights=None)
            features = resnet.fc.in_features
            resnet.fc = nn.Identity()
            return resnet, features
        case MobileNetV3():
            mobilenet = MOBILENETS[recipe.size](weights=None)
            features = mobilenet.classifier[0].in_features
            mobilenet.classifier = nn.Identity()
            return mobilenet, features
