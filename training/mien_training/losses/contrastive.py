"""Contrastive loss (Hadsell et al. 2006, equation 4), over all pairs of the batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training import pairs
from mien_training.config.losses import Contrastive
from mien_training.losses.distance import distances
from mien_training.losses.term import Term


class ContrastiveLoss(nn.Module):
    """Mean of ½d² for two pictures of one person and of ½[margin - d]₊² for two people's."""

    def __init__(self, recipe: Contrastive) -> None:
        super().__init__()
        self.margin, self.unit = recipe.margin, recipe.space == "unit"
        self.balanced = recipe.balanced

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]."""
        embeddings = F.normalize(raw) if self.unit else raw
        apart = distances(embeddings, squared=False)
        lacking = F.relu(self.margin - apart)
        halves = torch.where(pairs.same(labels), apart, lacking).square() / 2
        loss = pairs.mean(halves, labels, self.balanced)
        return Term(loss, {"contrastive": loss.item()})
