"""Squared error of class scores, the course's first training objective."""

from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.losses.heads import LinearLogits
from mien_training.losses.term import Term


class SquaredErrorLoss(nn.Module):
    """E = ½‖y - f(x)‖², where f(x) = W·x + b and y is 1 for the own person and 0 for all others."""

    def __init__(self, people: int, dimension: int) -> None:
        super().__init__()
        self.head = LinearLogits(people, dimension)

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]; the mean over the batch, 0 if it is empty.

        The course takes the sum over it, by which a larger batch would make a larger step.
        """
        scores = self.head(raw, labels)  # [B, people]
        targets = F.one_hot(labels, scores.shape[1])
        loss = (targets - scores).square().sum() / (2 * max(len(labels), 1))
        return Term(loss, {"squared_error": loss.item()})
