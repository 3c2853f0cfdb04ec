"""Online selection of triplets, on the matrix of distances within a batch.

A triplet is an anchor, a positive (another picture of the anchor's person) and a negative
(somebody else's picture). A selector takes distances [B, B], labels int64 [B] and the margin, and
gives three index tensors int64 [T]. Without two people, or two pictures of one, T is 0.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Rows of the batch, int64 [T] each."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


class Selector(Protocol):
    def __call__(self, distances: Tensor, labels: Tensor, margin: float) -> Triplets: ...


def semi_hard(distances: Tensor, labels: Tensor, margin: float) -> Triplets:
    """For every anchor and positive, all negatives with d(a, p) < d(a, n) < d(a, p) + margin.

    Section 3.2 of Schroff et al. 2015, which spares the hardest negatives against a collapse.
    """
    anchors, positives = _pairs(labels)
    near = distances[anchors, positives].unsqueeze(1)
    to_all = distances[anchors]
    wanted = (to_all > near) & (to_all < near + margin) & _others(labels)[anchors]
    return _expand(anchors, positives, wanted)


def batch_all(distances: Tensor, labels: Tensor, margin: float) -> Triplets:
    """Every triplet with d(a, n) < d(a, p) + margin, which is every one that has a loss."""
    anchors, positives = _pairs(labels)
    reach = distances[anchors, positives].unsqueeze(1) + margin
    wanted = (distances[anchors] < reach) & _others(labels)[anchors]
    return _expand(anchors, positives, wanted)


def batch_hard(distances: Tensor, labels: Tensor, margin: float) -> Triplets:
    """For every anchor that has both, its farthest positive and its nearest negative."""
    positive, negative = _positives(labels), _others(labels)
    farthest = distances.masked_fill(~positive, -torch.inf).argmax(dim=1)
    nearest = distances.masked_fill(~negative, torch.inf).argmin(dim=1)
    (anchors,) = torch.where(positive.any(dim=1) & negative.any(dim=1))
    return Triplets(anchors, farthest[anchors], nearest[anchors])


def active_share(distances: Tensor, labels: Tensor, margin: float) -> float:
    """Share of all triplets of the batch with d(a, n) < d(a, p) + margin; 0 if there are none."""
    others = _others(labels)
    sorted_negatives = distances.masked_fill(~others, torch.inf).sort(dim=1).values
    # searchsorted counts, for each anchor and column, the negatives nearer than column + margin.
    active = torch.searchsorted(sorted_negatives, (distances + margin).contiguous())
    positive = _positives(labels)
    triplets = (positive.sum(dim=1) * others.sum(dim=1)).sum()
    return float(active[positive].sum() / triplets.clamp(min=1))


def _others(labels: Tensor) -> Tensor:
    """bool [B, B], true where the column is somebody else's."""
    return labels.unsqueeze(0) != labels.unsqueeze(1)


def _positives(labels: Tensor) -> Tensor:
    """bool [B, B], true where the column is another picture of the row's person."""
    return ~_others(labels) & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def _pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Every anchor with every positive of it, int64 [pairs] each."""
    anchors, positives = torch.where(_positives(labels))
    return anchors, positives


def _expand(anchors: Tensor, positives: Tensor, wanted: Tensor) -> Triplets:
    """The triplets that bool [pairs, B] marks."""
    pairs, negatives = torch.where(wanted)
    return Triplets(anchors[pairs], positives[pairs], negatives)
