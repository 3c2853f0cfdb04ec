"""Online selection of triplets, on the matrix of distances within a batch.

A triplet is an anchor, a positive (another picture of the anchor's person) and a negative
(somebody else's picture). Its loss is [d(a, p) - d(a, n) + margin]₊. A selector takes distances
[B, B], labels int64 [B] and the margin. Without two people, or two pictures of one, it selects
nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mien_training.pairs import different, same


class Selection(NamedTuple):
    """Selected triplets, added up, so that memory does not grow with their number.

    The sum of their losses is Σ pull·distances + margin·active.
    """

    pull: Tensor
    """int64 [B, B]. At anchor and positive, how many of the selected triplets with a loss have
    both; at anchor and negative, minus how many. All other entries are 0."""
    active: int
    """Selected triplets that have a loss."""
    selected: int


class Selector(Protocol):
    def __call__(self, distances: Tensor, labels: Tensor, margin: float) -> Selection: ...


def semi_hard(distances: Tensor, labels: Tensor, margin: float) -> Selection:
    """For every anchor and positive, all negatives with d(a, p) < d(a, n) < d(a, p) + margin.

    Section 3.2 of Schroff et al. 2015, which spares the hardest negatives against a collapse.
    """
    near = _within(distances, labels, margin)
    farther = _to_negatives(distances, labels) > _to_positives(distances, labels)
    return _all_of(near & farther, labels)


def batch_all(distances: Tensor, labels: Tensor, margin: float) -> Selection:
    """Every triplet with d(a, n) < d(a, p) + margin, which is every one that has a loss."""
    return _all_of(_within(distances, labels, margin), labels)


def batch_hard(distances: Tensor, labels: Tensor, margin: float) -> Selection:
    """For every anchor that has both, its farthest positive and its nearest negative."""
    one, two = same(labels), different(labels)
    (anchors,) = torch.where(one.any(dim=1) & two.any(dim=1))
    if len(anchors) == 0:
        return _added_up(Triplets(anchors, anchors, anchors), distances, margin)
    farthest = distances.masked_fill(~one, -torch.inf)[anchors].argmax(dim=1)
    nearest = distances.masked_fill(~two, torch.inf)[anchors].argmin(dim=1)
    return _added_up(Triplets(anchors, farthest, nearest), distances, margin)


def random(distances: Tensor, labels: Tensor, margin: float) -> Selection:
    """For every anchor and positive, one negative drawn by torch's generator, all alike."""
    weights = different(labels).to(distances.dtype)
    return _added_up(_drawn(weights, labels), distances, margin)


@dataclass(frozen=True)
class DistanceWeighted:
    """For every anchor and positive, one negative drawn by torch's generator at weight 1/q(d).

    q(d) ∝ dⁿ⁻²·(1 - d²/4)⁽ⁿ⁻³⁾ᐟ² is the density of the distance between random unit vectors in n
    dimensions (Wu et al. 2017, equation 3). Negatives nearer than `nearest` weigh as much as one at
    it; those beyond `farthest` are drawn only for anchors that have none within, and then all
    alike. The authors' code has the same two bounds, but without a negative within it draws from
    all rows, positives included.
    """

    dimension: int
    """n."""
    squared: bool
    """Whether the distances that it is given are squared."""
    nearest: float
    farthest: float

    def __call__(self, distances: Tensor, labels: Tensor, margin: float) -> Selection:
        plain = distances.sqrt() if self.squared else distances
        return _added_up(_drawn(self.weights(plain, labels), labels), distances, margin)

    def weights(self, distances: Tensor, labels: Tensor) -> Tensor:
        """Of each negative for each anchor, [B, B]; rows add up to 1. Distances are not squared."""
        negative = different(labels)
        within = negative & (distances < self.farthest)
        has_any = within.any(dim=1, keepdim=True)
        lifted = distances.clamp(min=self.nearest)
        # In logarithms: at 128 dimensions q spans more than float32 does.
        density = (self.dimension - 2) * lifted.log()
        density += (self.dimension - 3) / 2 * (1 - lifted.square() / 4).log()
        logits = torch.where(has_any, -density, 0)
        drawable = torch.where(has_any, within, negative)
        return logits.masked_fill(~drawable, -torch.inf).softmax(dim=1)


class Triplets(NamedTuple):
    """Rows of the batch, int64 [T] each."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


def active_share(distances: Tensor, labels: Tensor, margin: float) -> float:
    """Share of all triplets of the batch with d(a, n) < d(a, p) + margin; 0 if there are none."""
    triplets = int((same(labels).sum(dim=1) * different(labels).sum(dim=1)).sum())
    return int(_within(distances, labels, margin).sum()) / max(triplets, 1)


def _within(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """bool [B, positives, B], true for triplets with d(a, n) < d(a, p) + margin."""
    return _to_negatives(distances, labels) < _to_positives(distances, labels) + margin


def _to_negatives(distances: Tensor, labels: Tensor) -> Tensor:
    """[B, 1, B], every anchor's distances; ∞ where there is no negative."""
    return distances.masked_fill(~different(labels), torch.inf).unsqueeze(1)


def _to_positives(distances: Tensor, labels: Tensor) -> Tensor:
    """[B, positives, 1], every anchor's distances to its positives; filled with -∞."""
    anchors, positives, places = _positives(labels)
    width = 1 + int(places.max()) if len(places) else 0
    aligned = distances.new_full((len(labels), width), -torch.inf)
    aligned[anchors, places] = distances[anchors, positives]
    return aligned.unsqueeze(2)


def _all_of(wanted: Tensor, labels: Tensor) -> Selection:
    """The triplets that bool [B, positives, B] marks, each of which has a loss."""
    anchors, positives, places = _positives(labels)
    pull = -wanted.sum(dim=1)
    pull[anchors, positives] = wanted.sum(dim=2)[anchors, places]
    count = int(pull.clamp(min=0).sum())
    return Selection(pull, active=count, selected=count)


def _drawn(weights: Tensor, labels: Tensor) -> Triplets:
    """For every anchor and positive a negative, drawn by weights [B, B]."""
    anchors, positives, places = _positives(labels)
    if not len(anchors) or not different(labels).any():
        return Triplets(anchors[:0], positives[:0], places[:0])
    draws = torch.multinomial(weights, int(places.max()) + 1, replacement=True)
    return Triplets(anchors, positives, draws[anchors, places])


def _positives(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every anchor, every positive of it, and which of them it is from 0 on; int64 [pairs] each."""
    one = same(labels)
    anchors, positives = torch.where(one)
    return anchors, positives, one.cumsum(dim=1)[anchors, positives] - 1


def _added_up(triplets: Triplets, distances: Tensor, margin: float) -> Selection:
    anchors, positives, negatives = triplets
    has_loss = distances[anchors, negatives] < distances[anchors, positives] + margin
    active = has_loss.to(torch.int64)
    pull = torch.zeros_like(distances, dtype=torch.int64)
    pull.index_put_((anchors, positives), active, accumulate=True)
    pull.index_put_((anchors, negatives), -active, accumulate=True)
    return Selection(pull, active=int(active.sum()), selected=len(anchors))
