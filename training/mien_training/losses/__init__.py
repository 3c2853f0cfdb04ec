"""Losses: one file each, and their weighted sum."""

from torch import Tensor, nn

from mien_training.config.losses import (
    Center,
    Contrastive,
    Losses,
    PairDecision,
    Softmax,
    SquaredError,
    Triplet,
)
from mien_training.losses.center import CenterLoss
from mien_training.losses.contrastive import ContrastiveLoss
from mien_training.losses.pair_decision import PairDecisionLoss
from mien_training.losses.softmax import SoftmaxLoss
from mien_training.losses.squared_error import SquaredErrorLoss
from mien_training.losses.term import Term
from mien_training.losses.triplet import TripletLoss


class WeightedSum(nn.Module):
    """The losses that a recipe names, each times its weight. Logged values are before weighting."""

    def __init__(self, recipe: Losses, people: int, dimension: int) -> None:
        super().__init__()
        self.terms = nn.ModuleDict()
        self.weights: dict[str, float] = {}
        for name, part in recipe:
            if part:
                self.terms[name] = _build(part, people, dimension)
                self.weights[name] = part.weight

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]."""
        terms: dict[str, Term] = {name: term(raw, labels) for name, term in self.terms.items()}
        losses = [self.weights[name] * term.loss for name, term in terms.items()]
        loss = sum(losses[1:], start=losses[0])
        log = {key: value for term in terms.values() for key, value in term.log.items()}
        return Term(loss, {"loss": loss.item(), **log})


def _build(
    part: Softmax | SquaredError | Center | Triplet | Contrastive | PairDecision,
    people: int,
    dimension: int,
) -> nn.Module:
    match part:
        case Softmax():
            return SoftmaxLoss(part, people, dimension)
        case SquaredError():
            return SquaredErrorLoss(people, dimension)
        case Center():
            return CenterLoss(part, people, dimension)
        case Triplet():
            return TripletLoss(part, dimension)
        case Contrastive():
            return ContrastiveLoss(part)
        case PairDecision():
            return PairDecisionLoss(part)
