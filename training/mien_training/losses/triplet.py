"""Triplet loss (Schroff et al. 2015, FaceNet, equation 3), on triplets selected in the batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.losses import BatchAll, BatchHard, SemiHard, Triplet
from mien_training.losses.term import Term
from mien_training.mining import Selector, active_share, batch_all, batch_hard, semi_hard

SMALLEST = 1e-12
"""Squared distances are lifted to this before a root, whose slope at 0 is infinite."""


class TripletLoss(nn.Module):
    """Mean of [d(a, p) - d(a, n) + margin]₊ over the selected triplets; 0 if there are none."""

    def __init__(self, recipe: Triplet) -> None:
        super().__init__()
        self.margin, self.squared = recipe.margin, recipe.distance == "squared"
        self.select = _selector(recipe)

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]; distances are between unit vectors."""
        distances = unit_distances(raw, self.squared)
        with torch.no_grad():
            anchors, positives, negatives = self.select(distances, labels, self.margin)
            active = active_share(distances, labels, self.margin)
        gaps = distances[anchors, positives] - distances[anchors, negatives]
        # A sum over nothing is a 0 that still has a gradient; a mean would be NaN.
        loss = F.relu(gaps + self.margin).sum() / max(len(anchors), 1)
        return Term(loss, {"triplet": loss.item(), "active_triplets": active})


def unit_distances(raw: Tensor, squared: bool) -> Tensor:
    """Euclidean distances [B, B] between the directions of [B, D], or their squares."""
    unit = F.normalize(raw)
    squares = (2 - 2 * unit @ unit.T).clamp(min=0)
    return squares if squared else squares.clamp(min=SMALLEST).sqrt()


def _selector(recipe: Triplet) -> Selector:
    match recipe.selection:
        case SemiHard():
            return semi_hard
        case BatchHard():
            return batch_hard
        case BatchAll():
            return batch_all
