"""Triplet loss (Schroff et al. 2015, FaceNet, equation 3), on triplets selected in the batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training import mining
from mien_training.config.losses import (
    BatchAll,
    BatchHard,
    DistanceWeighted,
    Random,
    SemiHard,
    Triplet,
)
from mien_training.losses.distance import distances
from mien_training.losses.term import Term


class TripletLoss(nn.Module):
    """Mean of [d(a, p) - d(a, n) + margin]₊ over the selected triplets; 0 if there are none."""

    def __init__(self, recipe: Triplet, dimension: int) -> None:
        super().__init__()
        self.margin, self.squared = recipe.margin, recipe.distance == "squared"
        self.select = _selector(recipe, dimension)

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]; distances are between unit vectors."""
        apart = distances(F.normalize(raw), self.squared)
        with torch.no_grad():
            selection = self.select(apart, labels, self.margin)
            active = mining.active_share(apart, labels, self.margin)
        total = (selection.pull * apart).sum() + self.margin * selection.active
        loss = total / max(selection.selected, 1)
        return Term(loss, {"triplet": loss.item(), "active_triplets": active})


def _selector(recipe: Triplet, dimension: int) -> mining.Selector:
    match recipe.selection:
        case SemiHard():
            return mining.semi_hard
        case BatchHard():
            return mining.batch_hard
        case BatchAll():
            return mining.batch_all
        case Random():
            return mining.random
        case DistanceWeighted(nearest=nearest, farthest=farthest):
            squared = recipe.distance == "squared"
            return mining.DistanceWeighted(dimension, squared, nearest, farthest)
