"""Binary cross-entropy of the decision "same or different?", over all pairs of the batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training import pairs
from mien_training.config.losses import PairDecision
from mien_training.losses.distance import distances
from mien_training.losses.term import Term

FIRST = 5.0
"""Offset and minus slope at the start, which with squared distances make 10·cosine - 5: the form
of Wan et al. 2018 (GE2E, section 2.1) with its first values (section 3)."""


class PairDecisionLoss(nn.Module):
    """Mean of -[y·log z + (1 - y)·log(1 - z)] where z = σ(slope·d + offset), y is 1 for one person.

    Slope and offset are learned. d is between unit vectors.
    """

    def __init__(self, recipe: PairDecision) -> None:
        super().__init__()
        self.squared, self.balanced = recipe.distance == "squared", recipe.balanced
        self.slope = nn.Parameter(torch.tensor(-FIRST))
        self.offset = nn.Parameter(torch.tensor(FIRST))

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]."""
        logits = self.slope * distances(F.normalize(raw), self.squared) + self.offset
        one = pairs.same(labels).to(logits.dtype)
        losses = F.binary_cross_entropy_with_logits(logits, one, reduction="none")
        loss = pairs.mean(losses, labels, self.balanced)
        return Term(loss, {"pair_decision": loss.item()})
