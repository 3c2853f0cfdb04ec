"""Center loss (Wen et al. 2016, "A Discriminative Feature Learning Approach", section 3.2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.losses import Center
from mien_training.losses.term import Term


class CenterLoss(nn.Module):
    """L_C = 1/2m Σ ‖x_i - c_yi‖², and the centres c_j [people, D], which start at 0.

    A centre is no parameter: while training, each call moves the centres of the people in the
    batch after taking the loss. They are state, saved and loaded with the module.
    """

    centers: Tensor

    def __init__(self, recipe: Center, people: int, dimension: int) -> None:
        super().__init__()
        self.rate, self.unit = recipe.rate, recipe.space == "unit"
        self.register_buffer("centers", torch.zeros(people, dimension))

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]; 0 if there are none."""
        embeddings = F.normalize(raw) if self.unit else raw
        loss = (embeddings - self.centers[labels]).pow(2).sum() / (2 * max(len(labels), 1))
        if self.training:
            move(self.centers, embeddings.detach(), labels, self.rate)
        return Term(loss, {"center": loss.item()})


def move(centers: Tensor, embeddings: Tensor, labels: Tensor, rate: float) -> None:
    """c_j -= α·Δc_j with Δc_j = Σ (c_j - x_i) / (1 + n_j), over the n_j of person j, in place.

    Centres [people, D], embeddings [B, D], labels int64 [B]; α is the rate.
    """
    away = centers[labels] - embeddings
    sums = torch.zeros_like(centers).index_add_(0, labels, away)
    counts = torch.bincount(labels, minlength=len(centers))
    centers -= rate * sums / (1 + counts).unsqueeze(1)
