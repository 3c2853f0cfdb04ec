"""The network as it is served: uint8 crops in, unit vectors out."""

from torch import Tensor, nn
from torch.nn import functional as F

MIDDLE = 127.5
"""Taken off a uint8 channel, and what it is then divided by: [-1, 1], as most face networks do."""


class EmbeddingNetwork(nn.Module):
    """A backbone with all that stands before and after it; this module is what gets exported."""

    def __init__(self, backbone: nn.Module, flip: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.flip = flip

    def features(self, images: Tensor) -> Tensor:
        """Crops uint8 [B, H, W, 3] to raw embeddings float32 [B, D], as losses take them."""
        raw: Tensor = self.backbone(normalised(images))
        return raw

    def forward(self, images: Tensor) -> Tensor:
        """Crops uint8 [B, H, W, 3] to unit vectors float32 [B, D].

        In evaluation and with `flip`, the direction of the sum over the crop and its mirror image.
        """
        raw = self.features(images)
        if self.flip and not self.training:
            raw = raw + self.features(images.flip(2))
        return F.normalize(raw)


def normalised(images: Tensor) -> Tensor:
    """Crops uint8 [B, H, W, 3] to float32 [B, 3, H, W] in [-1, 1]."""
    return (images.permute(0, 3, 1, 2).float() - MIDDLE) / MIDDLE
