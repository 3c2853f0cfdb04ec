"""Losses: one file each, and their weighted sum."""

from torch import Tensor, nn

from mien_training.config.losses import Losses
from mien_training.losses.center import CenterLoss
from mien_training.losses.softmax import SoftmaxLoss
from mien_training.losses.term import Term
from mien_training.losses.triplet import TripletLoss


class WeightedSum(nn.Module):
    """The losses that a recipe names, each times its weight. Logged values are before weighting."""

    def __init__(self, recipe: Losses, people: int, dimension: int) -> None:
        super().__init__()
        self.terms = nn.ModuleDict()
        self.weights: dict[str, float] = {}
        if recipe.softmax:
            self._add(
                "softmax", recipe.softmax.weight, SoftmaxLoss(recipe.softmax, people, dimension)
            )
        if recipe.center:
            self._add("center", recipe.center.weight, CenterLoss(recipe.center, people, dimension))
        if recipe.triplet:
            self._add("triplet", recipe.triplet.weight, TripletLoss(recipe.triplet))

    def _add(self, name: str, weight: float, term: nn.Module) -> None:
        self.terms[name], self.weights[name] = term, weight

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]."""
        terms: dict[str, Term] = {name: term(raw, labels) for name, term in self.terms.items()}
        losses = [self.weights[name] * term.loss for name, term in terms.items()]
        loss = sum(losses[1:], start=losses[0])
        log = {key: value for term in terms.values() for key, value in term.log.items()}
        return Term(loss, {"loss": loss.item(), **log})
