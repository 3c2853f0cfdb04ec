"""Losses over people against slow loops, by value and by gradient, and the sum of all losses."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from mien_training.config.losses import (
    ArcfaceHead,
    BatchAll,
    Center,
    Contrastive,
    CosfaceHead,
    LinearHead,
    Losses,
    PairDecision,
    Softmax,
    SquaredError,
    Triplet,
)
from mien_training.losses import WeightedSum
from mien_training.losses.center import CenterLoss
from mien_training.losses.heads import ArcfaceLogits, CosfaceLogits, LinearLogits
from mien_training.losses.softmax import SoftmaxLoss
from mien_training.losses.squared_error import SquaredErrorLoss
from tests.training.batch import (
    DIMENSION,
    LABELS,
    PEOPLE,
    assert_finite,
    assert_same,
    assert_slopes,
    dtypes,
    embeddings,
)

HEADS = {
    "linear": LinearHead(kind="linear"),
    "cosface": CosfaceHead(kind="cosface"),
    "arcface": ArcfaceHead(kind="arcface", margin=0.5),
}
heads = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


@dtypes
def test_softmax_on_a_linear_head_is_minus_the_log_of_the_own_share(dtype: torch.dtype) -> None:
    loss = SoftmaxLoss(Softmax(head=LinearHead(kind="linear")), PEOPLE, DIMENSION).to(dtype)
    linear = cast("LinearLogits", loss.head).linear
    assert torch.count_nonzero(linear.bias) == 0

    def slow(raw: Tensor) -> Tensor:
        total = raw.new_zeros(())
        for x, label in zip(raw, LABELS, strict=True):
            powers = [torch.exp(w @ x + b) for w, b in zip(linear.weight, linear.bias, strict=True)]
            total = total - torch.log(powers[label] / sum(powers))
        return total / len(raw)

    assert_same(loss, slow, dtype)


@dtypes
def test_softmax_on_cosface_takes_the_margin_off_the_own_cosine(dtype: torch.dtype) -> None:
    head = CosfaceHead(kind="cosface", scale=7.0, margin=0.25)
    loss = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION).to(dtype)
    weights = cast("CosfaceLogits", loss.head).weight

    def slow(raw: Tensor) -> Tensor:
        total = raw.new_zeros(())
        for x, label in zip(raw, LABELS, strict=True):
            cosines = [w @ x / (w.norm() * x.norm()) for w in weights]
            powers = [
                torch.exp(7.0 * (cosine - (0.25 if person == label else 0)))
                for person, cosine in enumerate(cosines)
            ]
            total = total - torch.log(powers[label] / sum(powers))
        return total / len(raw)

    assert_same(loss, slow, dtype)


@dtypes
def test_softmax_on_arcface_widens_the_own_angle_as_far_as_it_may(dtype: torch.dtype) -> None:
    margin = 1.2  # so wide that some angles of the batch are beyond π - margin
    head = ArcfaceHead(kind="arcface", scale=7.0, margin=margin)
    loss = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION).to(dtype)
    weights = cast("ArcfaceLogits", loss.head).weight
    with torch.no_grad():
        weights[0] = -embeddings(dtype)[0]
    beyond = []

    def slow(raw: Tensor) -> Tensor:
        total = raw.new_zeros(())
        for x, label in zip(raw, LABELS, strict=True):
            cosines = [w @ x / (w.norm() * x.norm()) for w in weights]
            angle = torch.acos(cosines[label].clamp(-1 + 1e-9, 1 - 1e-9))
            beyond.append(bool(angle > math.pi - margin))
            cosines[label] = (
                cosines[label] - margin * math.sin(margin)
                if beyond[-1]
                else torch.cos(angle + margin)
            )
            powers = [torch.exp(7.0 * cosine) for cosine in cosines]
            total = total - torch.log(powers[label] / sum(powers))
        return total / len(raw)

    assert_same(loss, slow, dtype)
    assert True in beyond
    assert False in beyond


def test_the_own_logit_of_arcface_falls_as_the_angle_grows() -> None:
    logits = ArcfaceLogits(ArcfaceHead(kind="arcface", margin=0.5), people=1, dimension=2)
    angles = torch.linspace(0, math.pi, 200)
    with torch.no_grad():
        logits.weight.copy_(torch.tensor([[1.0, 0.0]]))
        raw = torch.stack([angles.cos(), angles.sin()], dim=1)
        own = logits(raw, torch.zeros(200, dtype=torch.int64)).squeeze(1)
    assert (own.diff() < 0).all()


@pytest.mark.parametrize("head", [CosfaceHead, ArcfaceHead])
def test_without_a_margin_a_head_is_a_scaled_cosine(
    head: type[CosfaceHead | ArcfaceHead],
) -> None:
    kind = head.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    recipe = Softmax.model_validate({"head": {"kind": kind, "scale": 3.0, "margin": 0.0}})
    loss = SoftmaxLoss(recipe, PEOPLE, DIMENSION)
    raw = embeddings(torch.float32)
    weight = cast("CosfaceLogits | ArcfaceLogits", loss.head).weight
    cosines = torch.nn.functional.cosine_similarity(raw.unsqueeze(1), weight.unsqueeze(0), dim=2)
    torch.testing.assert_close(loss.head(raw, LABELS), 3 * cosines)


@dtypes
def test_squared_error_is_half_the_squared_distance_to_the_one_hot_target(
    dtype: torch.dtype,
) -> None:
    loss = SquaredErrorLoss(PEOPLE, DIMENSION).to(dtype)
    linear = loss.head.linear

    def slow(raw: Tensor) -> Tensor:
        total = raw.new_zeros(())
        for x, label in zip(raw, LABELS, strict=True):
            for person in range(PEOPLE):
                score = linear.weight[person] @ x + linear.bias[person]
                total = total + (float(person == label) - score) ** 2 / 2
        return total / len(raw)

    assert_same(loss, slow, dtype)


@dtypes
@pytest.mark.parametrize("space", ["raw", "unit"])
def test_center_loss_is_half_the_mean_squared_distance_to_the_own_centre(
    space: str, dtype: torch.dtype
) -> None:
    loss = CenterLoss(Center.model_validate({"space": space}), PEOPLE, DIMENSION).to(dtype)
    loss.centers += torch.arange(PEOPLE * DIMENSION).reshape(PEOPLE, DIMENSION) / 10

    def slow(raw: Tensor) -> Tensor:
        total = raw.new_zeros(())
        for x, label in zip(raw, LABELS, strict=True):
            taken = x / x.norm() if space == "unit" else x
            for coordinate, center in zip(taken, loss.centers[label], strict=True):
                total = total + (coordinate - center) ** 2
        return total / (2 * len(raw))

    assert_same(loss.eval(), slow, dtype)


@dtypes
def test_centres_move_as_the_paper_says_after_the_loss_was_taken(dtype: torch.dtype) -> None:
    loss = CenterLoss(Center(rate=0.3), PEOPLE, DIMENSION).to(dtype)
    loss.centers += torch.arange(PEOPLE * DIMENSION).reshape(PEOPLE, DIMENSION) / 10
    raw, before = embeddings(dtype), loss.centers.clone()
    expected_loss = loss.eval()(raw, LABELS).loss

    taken = loss.train()(raw, LABELS).loss

    for person in range(PEOPLE):
        mine = [x for x, label in zip(raw.detach(), LABELS, strict=True) if label == person]
        delta = sum(((before[person] - x) for x in mine), torch.zeros(DIMENSION, dtype=dtype))
        moved = before[person] - 0.3 * delta / (1 + len(mine))
        torch.testing.assert_close(loss.centers[person], moved)
    assert torch.equal(loss.centers[2], before[2])
    assert torch.equal(taken, expected_loss)


def test_centres_are_state_and_no_parameters() -> None:
    loss = CenterLoss(Center(), PEOPLE, DIMENSION)
    assert list(loss.parameters()) == []
    loss(embeddings(torch.float32), LABELS)
    restored = CenterLoss(Center(), PEOPLE, DIMENSION)
    restored.load_state_dict(loss.state_dict())
    assert torch.count_nonzero(restored.centers) > 0
    assert torch.equal(restored.centers, loss.centers)


@heads
def test_the_gradient_of_softmax_agrees_with_finite_differences(
    head: LinearHead | CosfaceHead | ArcfaceHead,
) -> None:
    assert_slopes(SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION))


@pytest.mark.parametrize("space", ["raw", "unit"])
def test_the_gradients_of_squared_losses_agree_with_finite_differences(space: str) -> None:
    assert_slopes(SquaredErrorLoss(PEOPLE, DIMENSION))
    assert_slopes(CenterLoss(Center.model_validate({"space": space}), PEOPLE, DIMENSION).eval())


@heads
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_embedding_on_its_persons_direction_or_against_it_gives_no_nan(
    head: LinearHead | CosfaceHead | ArcfaceHead, sign: float
) -> None:
    loss = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION)
    weight = next(loss.parameters()).detach()
    assert_finite(loss, (sign * weight[LABELS]).requires_grad_(), LABELS)


@heads
def test_embeddings_of_zero_give_no_nan(head: LinearHead | CosfaceHead | ArcfaceHead) -> None:
    loss = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION)
    assert_finite(loss, torch.zeros(len(LABELS), DIMENSION, requires_grad=True), LABELS)


EVERY = Losses(
    softmax=Softmax(weight=2.0),
    squared_error=SquaredError(weight=0.3),
    center=Center(weight=0.5),
    triplet=Triplet(weight=0.7, selection=BatchAll(kind="batch_all")),
    contrastive=Contrastive(weight=1.1),
    pair_decision=PairDecision(weight=1.3),
)


def test_the_sum_weighs_each_part_and_logs_it_unweighted() -> None:
    total = WeightedSum(EVERY, PEOPLE, DIMENSION)
    loss, log = total(embeddings(torch.float32), LABELS)
    parts = {name: part.weight for name, part in EVERY}
    assert set(total.terms) == set(Losses.model_fields)
    assert loss.item() == pytest.approx(sum(log[name] * parts[name] for name in parts))
    assert log["loss"] == loss.item()


def test_the_sum_trains_the_weights_of_its_heads_and_of_its_decision() -> None:
    total = WeightedSum(EVERY, PEOPLE, DIMENSION)
    total(embeddings(torch.float32), LABELS).loss.backward()
    assert {name for name, weight in total.named_parameters() if weight.grad is not None} == {
        "terms.softmax.head.weight",
        "terms.squared_error.head.linear.weight",
        "terms.squared_error.head.linear.bias",
        "terms.pair_decision.slope",
        "terms.pair_decision.offset",
    }
