"""Pairs of pictures in a batch, as [B, B] matrices."""

import torch
from torch import Tensor


def different(labels: Tensor) -> Tensor:
    """bool [B, B] of labels int64 [B], true where row and column are two people's."""
    return labels.unsqueeze(0) != labels.unsqueeze(1)


def same(labels: Tensor) -> Tensor:
    """bool [B, B] of labels int64 [B], true where they are two pictures of one person."""
    return ~different(labels) & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def mean(losses: Tensor, labels: Tensor, balanced: bool) -> Tensor:
    """Mean of [B, B] over the pairs of labels int64 [B], none a picture with itself.

    Balanced, it is half the mean over pairs of one person plus half that over pairs of two. Of
    pairs that are not there the mean is 0, with a gradient of 0.
    """
    one, two = same(labels), different(labels)
    if not balanced:
        return _mean(losses, one | two)
    return (_mean(losses, one) + _mean(losses, two)) / 2


def _mean(losses: Tensor, chosen: Tensor) -> Tensor:
    return losses.masked_fill(~chosen, 0).sum() / chosen.sum().clamp(min=1)
