"""Losses against pytorch-metric-learning, by value and by gradient.

It has no center loss (checked below), no loss of squared scores and no decision on pairs; those
are compared with slow loops only. Its triplet loss is a mean over triplets that have a loss unless
told otherwise, and its contrastive loss is not squared as in the paper.
"""

import math
from typing import cast

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import Tensor

from mien_training.config.losses import (
    ArcfaceHead,
    Contrastive,
    CosfaceHead,
    LinearHead,
    Softmax,
    Triplet,
)
from mien_training.losses.contrastive import ContrastiveLoss
from mien_training.losses.heads import ArcfaceLogits, CosfaceLogits, LinearLogits
from mien_training.losses.softmax import SoftmaxLoss
from mien_training.losses.triplet import TripletLoss
from tests.training.batch import DIMENSION, LABELS, PEOPLE, assert_same, dtypes

MARGIN = 0.4
POWERS = {"squared": 2, "plain": 1}


@dtypes
@pytest.mark.parametrize("distance", POWERS)
@pytest.mark.parametrize("kind", ["semi_hard", "batch_hard", "batch_all"])
def test_triplet_loss(kind: str, distance: str, dtype: torch.dtype) -> None:
    recipe = {"margin": MARGIN, "distance": distance, "selection": {"kind": kind}}
    metric = distances.LpDistance(power=POWERS[distance])
    miner = {
        "semi_hard": miners.TripletMarginMiner(MARGIN, "semihard", distance=metric),
        "batch_hard": miners.BatchHardMiner(distance=metric),
        "batch_all": miners.TripletMarginMiner(MARGIN, "all", distance=metric),
    }[kind]
    theirs = losses.TripletMarginLoss(
        margin=MARGIN, distance=metric, reducer=reducers.MeanReducer()
    )

    def other(raw: Tensor) -> Tensor:
        value: Tensor = theirs(raw, LABELS, miner(raw, LABELS))
        return value

    assert_same(TripletLoss(Triplet.model_validate(recipe), DIMENSION), other, dtype)


@dtypes
@pytest.mark.parametrize("space", ["raw", "unit"])
def test_contrastive_loss(space: str, dtype: torch.dtype) -> None:
    class Squared(losses.ContrastiveLoss):  # type: ignore[misc]
        def get_per_pair_loss(self, pair_dists: Tensor, pos_or_neg: str) -> Tensor:
            lacking: Tensor = super().get_per_pair_loss(pair_dists, pos_or_neg)
            return lacking**2 / 2

    metric = distances.LpDistance(normalize_embeddings=space == "unit")
    theirs = Squared(neg_margin=1.3, distance=metric, reducer=reducers.MeanReducer())
    ours = ContrastiveLoss(Contrastive.model_validate({"margin": 1.3, "space": space}))
    assert_same(ours, lambda raw: theirs(raw, LABELS) / 2, dtype)


@dtypes
def test_softmax_on_cosface(dtype: torch.dtype) -> None:
    head = CosfaceHead(kind="cosface", scale=7.0, margin=0.25)
    ours = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION).to(dtype)
    theirs = losses.CosFaceLoss(PEOPLE, DIMENSION, margin=0.25, scale=7.0)
    theirs.W.data = cast("CosfaceLogits", ours.head).weight.data.T
    assert_same(ours, lambda raw: theirs(raw, LABELS), dtype)


@dtypes
@pytest.mark.parametrize("margin", [0.5, 1.2])
def test_softmax_on_arcface(margin: float, dtype: torch.dtype) -> None:
    head = ArcfaceHead(kind="arcface", scale=7.0, margin=margin)
    ours = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION).to(dtype)
    theirs = losses.ArcFaceLoss(PEOPLE, DIMENSION, margin=math.degrees(margin), scale=7.0)
    theirs.W.data = cast("ArcfaceLogits", ours.head).weight.data.T
    assert_same(ours, lambda raw: theirs(raw, LABELS), dtype)


@dtypes
@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_softmax_without_a_margin(kind: str, dtype: torch.dtype) -> None:
    recipe = {"head": {"kind": kind, "scale": 7.0, "margin": 0.0}}
    ours = SoftmaxLoss(Softmax.model_validate(recipe), PEOPLE, DIMENSION).to(dtype)
    theirs = losses.NormalizedSoftmaxLoss(PEOPLE, DIMENSION, temperature=1 / 7)
    theirs.W.data = cast("CosfaceLogits | ArcfaceLogits", ours.head).weight.data.T
    assert_same(ours, lambda raw: theirs(raw, LABELS), dtype)


@dtypes
def test_softmax_on_a_linear_head(dtype: torch.dtype) -> None:
    """Theirs has no bias, as ours has none at first, and weights of length 1, as ours get here."""
    ours = SoftmaxLoss(Softmax(head=LinearHead(kind="linear")), PEOPLE, DIMENSION).to(dtype)
    product = distances.DotProductSimilarity(normalize_embeddings=False)
    theirs = losses.NormalizedSoftmaxLoss(PEOPLE, DIMENSION, temperature=1, distance=product)
    linear = cast("LinearLogits", ours.head).linear
    linear.weight.data = torch.nn.functional.normalize(linear.weight.data)
    theirs.W.data = linear.weight.data.T
    assert torch.count_nonzero(linear.bias) == 0
    assert_same(ours, lambda raw: theirs(raw, LABELS), dtype)


def test_it_has_no_center_loss() -> None:
    assert not hasattr(losses, "CenterLoss")
