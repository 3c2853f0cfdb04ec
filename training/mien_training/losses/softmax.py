"""Cross-entropy over the people of training."""

from torch import Tensor, nn
from torch.nn import functional as F

from mien_training.config.losses import Softmax
from mien_training.losses import heads
from mien_training.losses.term import Term


class SoftmaxLoss(nn.Module):
    """A class head on the raw embeddings, and its cross-entropy."""

    def __init__(self, recipe: Softmax, people: int, dimension: int) -> None:
        super().__init__()
        self.head = heads.build(recipe.head, people, dimension)

    def forward(self, raw: Tensor, labels: Tensor) -> Term:
        """Raw embeddings [B, D] and labels int64 [B]; the mean over the batch, 0 if it is empty."""
        total = F.cross_entropy(self.head(raw, labels), labels, reduction="sum")
        loss = total / max(len(labels), 1)
        return Term(loss, {"softmax": loss.item()})
