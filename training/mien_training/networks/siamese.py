"""The course's Siamese network: one of its halves, since both share their weights."""

from torch import Tensor, nn

from mien_training.config.networks import Siamese
from mien_training.config.recipe import Crop
from mien_training.networks.layers import initialise, linear

NEIGHBOURS, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0
"""Of local response normalisation: n, α, β and k in section 3.3 of Krizhevsky et al. 2012."""


class SiameseNetwork(nn.Module):
    """Three convolutions, two linear layers, and normalisation among neighbouring components."""

    def __init__(self, recipe: Siamese, size: Crop, dimension: int) -> None:
        super().__init__()
        first, second, third = recipe.channels
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, first, 11, recipe.stride),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Dropout(recipe.dropout),
            nn.Conv2d(second, third, 3),
            nn.ReLU(inplace=True),
        )
        features = third * recipe.last_side(size.height) * recipe.last_side(size.width)
        self.head = nn.Sequential(
            nn.Flatten(),
            linear(features, recipe.hidden, recipe.drop_connect),
            nn.ReLU(inplace=True),
            nn.Dropout(recipe.hidden_dropout),
            linear(recipe.hidden, dimension, recipe.drop_connect),
            nn.ReLU(inplace=True),
            ResponseNormalisation(),
        )
        initialise(self, recipe.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float [B, 3, H, W] to raw embeddings [B, D], none negative."""
        embeddings: Tensor = self.head(self.convolutions(images))
        return embeddings


class ResponseNormalisation(nn.Module):
    """x_i / (k + α·Σ x_j²)^β over the n components around i, [B, D] to [B, D]."""

    def __init__(self) -> None:
        super().__init__()
        # Torch takes the mean over the neighbours where the paper takes the sum.
        self.norm = nn.LocalResponseNorm(NEIGHBOURS, NEIGHBOURS * ALPHA, BETA, K)

    def forward(self, vectors: Tensor) -> Tensor:
        normalised: Tensor = self.norm(vectors.unsqueeze(2))
        return normalised.squeeze(2)
