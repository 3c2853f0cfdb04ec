"""Class heads: embeddings to a logit for each person of training."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.losses import ArcfaceHead, CosfaceHead, Head, LinearHead

SMALLEST = 1e-12
"""Squared sines are lifted to this before a root, whose slope at 0 is infinite."""


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


class CosfaceLogits(nn.Module):
    """scale·(cos θ_j - margin where j is the own person) (Wang et al. 2018, equation 4)."""

    def __init__(self, recipe: CosfaceHead, people: int, dimension: int) -> None:
        super().__init__()
        self.weight = _directions(people, dimension)
        self.scale, self.margin = recipe.scale, recipe.margin

    def forward(self, raw: Tensor, labels: Tensor) -> Tensor:
        cosines = F.normalize(raw) @ F.normalize(self.weight).T
        own = F.one_hot(labels, len(self.weight))
        return self.scale * (cosines - self.margin * own)


class ArcfaceLogits(nn.Module):
    """scale·cos(θ_j + margin where j is the own person) (Deng et al. 2019, equation 3).

    Beyond θ = π - margin that cosine would rise again and push the embedding away, so there it is
    cos θ - margin·sin margin, as in the authors' code, which falls on and takes a step down at the
    change.
    """

    def __init__(self, recipe: ArcfaceHead, people: int, dimension: int) -> None:
        super().__init__()
        self.weight = _directions(people, dimension)
        self.scale, self.margin = recipe.scale, recipe.margin

    def forward(self, raw: Tensor, labels: Tensor) -> Tensor:
        cosines = F.normalize(raw) @ F.normalize(self.weight).T
        own = cosines.gather(1, labels.unsqueeze(1))
        return self.scale * cosines.scatter(1, labels.unsqueeze(1), self._widened(own))

    def _widened(self, cosines: Tensor) -> Tensor:
        sines = (1 - cosines.square()).clamp(min=SMALLEST).sqrt()
        sum_of_angles = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        beyond = cosines - self.margin * math.sin(self.margin)
        return torch.where(cosines > math.cos(math.pi - self.margin), sum_of_angles, beyond)


def build(recipe: Head, people: int, dimension: int) -> nn.Module:
    match recipe:
        case LinearHead():
            return LinearLogits(people, dimension)
        case CosfaceHead():
            return CosfaceLogits(recipe, people, dimension)
        case ArcfaceHead():
            return ArcfaceLogits(recipe, people, dimension)


def _directions(people: int, dimension: int) -> nn.Parameter:
    return nn.Parameter(F.normalize(torch.randn(people, dimension)))
