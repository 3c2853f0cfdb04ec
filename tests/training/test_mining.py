"""Selectors by what must hold of any selection, and by closed-form counts."""

import pytest
import torch
from torch import Tensor

from mien_training.losses.triplet import unit_distances
from mien_training.mining import Selector, Triplets, batch_all, batch_hard, semi_hard

P, K, MARGIN = 6, 4, 0.3
SELECTORS: list[Selector] = [semi_hard, batch_hard, batch_all]


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(P).repeat_interleave(K)[torch.randperm(P * K, generator=_generator())]


@pytest.fixture
def distances() -> Tensor:
    return unit_distances(torch.randn(P * K, 8, generator=_generator()), squared=True)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("select", SELECTORS)
def test_positives_are_the_anchors_person_and_negatives_are_not(
    select: Selector, distances: Tensor, labels: Tensor
) -> None:
    anchors, positives, negatives = select(distances, labels, MARGIN)
    assert len(anchors) > 0
    assert torch.equal(labels[anchors], labels[positives])
    assert (anchors != positives).all()
    assert (labels[anchors] != labels[negatives]).all()


@pytest.mark.parametrize("select", SELECTORS)
def test_no_triplet_is_selected_twice(select: Selector, distances: Tensor, labels: Tensor) -> None:
    triplets = _listed(select(distances, labels, MARGIN))
    assert len(set(triplets)) == len(triplets)


def test_semi_hard_negatives_lie_between_the_positive_and_the_margin(
    distances: Tensor, labels: Tensor
) -> None:
    near, far = _gaps(semi_hard(distances, labels, MARGIN), distances)
    assert ((far > near) & (far < near + MARGIN)).all()


def test_batch_hard_gives_every_anchor_its_worst_triplet(distances: Tensor, labels: Tensor) -> None:
    selected = batch_hard(distances, labels, MARGIN)
    near, far = _gaps(selected, distances)
    every_near, every_far = _gaps(every := batch_all(distances, labels, torch.inf), distances)
    assert torch.equal(selected.anchors, torch.arange(P * K))
    for anchor in range(P * K):
        mine = every.anchors == anchor
        assert near[anchor] == every_near[mine].max()
        assert far[anchor] == every_far[mine].min()


def test_batch_all_with_an_endless_margin_has_every_triplet(
    distances: Tensor, labels: Tensor
) -> None:
    count = len(batch_all(distances, labels, torch.inf).anchors)
    assert count == (P * K) * (K - 1) * (P * K - K)


def test_batch_all_has_those_with_a_loss_and_semi_hard_is_part_of_it(
    distances: Tensor, labels: Tensor
) -> None:
    every, some = (select(distances, labels, MARGIN) for select in (batch_all, semi_hard))
    near, far = _gaps(every, distances)
    assert (near - far + MARGIN > 0).all()
    assert set(_listed(some)) <= set(_listed(every))


def _listed(triplets: Triplets) -> list[tuple[int, ...]]:
    return list(zip(*(rows.tolist() for rows in triplets), strict=True))


def _gaps(triplets: Triplets, distances: Tensor) -> tuple[Tensor, Tensor]:
    """Distances to the positive and to the negative, [T] each."""
    anchors, positives, negatives = triplets
    return distances[anchors, positives], distances[anchors, negatives]
