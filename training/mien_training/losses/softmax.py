"""Cross-entropy over the people of training."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.losses import CosineHead, Head, LinearHead, Softmax
from mien_training.losses.term import Term


class SoftmaxLoss(nn.Module):
    """A class head on the raw embeddings, and its cross-entropy."""

    def __init__(self, recipe: Softmax, people: int, dimension: int) -> None:
        super().__init__()
        self.head = _head(recipe.head, people, dimension)

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]; the mean over the batch."""
        loss = F.cross_entropy(self.head(raw, labels), labels)
        return Term(loss, {"softmax": loss.item()})


class LinearLogits(nn.Module):
    """W·x + b, [B, D] to [B, people]; He's initialisation, zero biases."""

    def __init__(self, people: int, dimension: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dimension, people)
        nn.init.kaiming_normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, raw: Tensor, _labels: Tensor) -> Tensor:
        logits: Tensor = self.linear(raw)
        return logits


class CosineLogits(nn.Module):
    """scale·(cos(x, w_j) - margin where j is the own person) (Wang et al. 2018, equation 4)."""

    def __init__(self, recipe: CosineHead, people: int, dimension: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(people, dimension)))
        self.scale, self.margin = recipe.scale, recipe.margin

    def forward(self, raw: Tensor, labels: Tensor) -> Tensor:
        cosines = F.normalize(raw) @ F.normalize(self.weight).T
        own = F.one_hot(labels, len(self.weight))
        return self.scale * (cosines - self.margin * own)


def _head(recipe: Head, people: int, dimension: int) -> nn.Module:
    match recipe:
        case LinearHead():
            return LinearLogits(people, dimension)
        case CosineHead():
            return CosineLogits(recipe, people, dimension)
