"""Each loss against slow loops over explicit pairs and triplets, by value and by gradient."""

import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from mien_training.config.losses import (
    BatchAll,
    BatchHard,
    Center,
    CosineHead,
    LinearHead,
    Losses,
    SemiHard,
    Softmax,
    Triplet,
)
from mien_training.losses import WeightedSum
from mien_training.losses.center import CenterLoss
from mien_training.losses.softmax import CosineLogits, LinearLogits, SoftmaxLoss
from mien_training.losses.triplet import TripletLoss

PEOPLE, DIMENSION = 4, 5
LABELS = torch.tensor([0, 1, 1, 3, 0, 3, 1, 3])  # nobody is 2
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def embeddings(dtype: torch.dtype, count: int = len(LABELS)) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(count, DIMENSION, generator=generator, dtype=torch.float64)
    return drawn.to(dtype).requires_grad_()


def assert_same(fast: nn.Module, slow: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    """Value and gradient agree."""
    raw, again = embeddings(dtype), embeddings(dtype)
    value, expected = fast(raw, LABELS).loss, slow(again)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    torch.testing.assert_close(raw.grad, again.grad, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


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
def test_softmax_on_a_cosine_head_takes_the_margin_off_the_own_cosine(dtype: torch.dtype) -> None:
    head = CosineHead(kind="cosine", scale=7.0, margin=0.25)
    loss = SoftmaxLoss(Softmax(head=head), PEOPLE, DIMENSION).to(dtype)
    weights = cast("CosineLogits", loss.head).weight

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
    assert list(loss.state_dict()) == ["centers"]


def slow_distances(raw: Tensor, squared: bool) -> list[list[Tensor]]:
    unit = [x / x.norm() for x in raw]
    squares = [[((x - y) ** 2).sum() for y in unit] for x in unit]
    return squares if squared else [[d.sqrt() for d in row] for row in squares]


def slow_triplets(d: list[list[Tensor]], margin: float, kind: str) -> list[tuple[int, int, int]]:
    """Every triplet that a selection wants, by three loops."""
    rows = range(len(LABELS))
    triplets = [
        (a, p, n)
        for a in rows
        for p in rows
        for n in rows
        if a != p and LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]
    ]
    match kind:
        case "batch_all":
            return [(a, p, n) for a, p, n in triplets if d[a][p] - d[a][n] + margin > 0]
        case "semi_hard":
            return [(a, p, n) for a, p, n in triplets if d[a][p] < d[a][n] < d[a][p] + margin]
        case _:
            return [
                max(
                    ((a, p, n) for b, p, n in triplets if b == a),
                    key=lambda t: (d[t[0]][t[1]] - d[t[0]][t[2]]).item(),
                )
                for a in rows
            ]


@dtypes
@pytest.mark.parametrize("distance", ["squared", "plain"])
@pytest.mark.parametrize("selection", [SemiHard, BatchHard, BatchAll])
def test_triplet_loss_is_the_mean_over_the_selected_triplets(
    selection: type[SemiHard | BatchHard | BatchAll], distance: str, dtype: torch.dtype
) -> None:
    kind = selection.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    recipe = {"margin": 0.4, "distance": distance, "selection": {"kind": kind}}
    loss = TripletLoss(Triplet.model_validate(recipe))

    def slow(raw: Tensor) -> Tensor:
        d = slow_distances(raw, distance == "squared")
        triplets = slow_triplets(d, 0.4, kind)
        losses = [torch.relu(d[a][p] - d[a][n] + 0.4) for a, p, n in triplets]
        return torch.stack(losses).mean()

    assert_same(loss, slow, dtype)


def test_gradients_agree_with_finite_differences() -> None:
    losses = [
        SoftmaxLoss(Softmax(), PEOPLE, DIMENSION),
        CenterLoss(Center(), PEOPLE, DIMENSION).eval(),
        TripletLoss(Triplet(margin=0.4, selection=BatchAll(kind="batch_all"))),
    ]
    for loss in losses:
        module = loss.double()
        assert torch.autograd.gradcheck(
            lambda raw, module=module: module(raw, LABELS).loss, embeddings(torch.float64)
        )


DEGENERATE = {
    "one person": torch.zeros(6, dtype=torch.int64),
    "everybody once": torch.arange(4),
    "one picture": torch.zeros(1, dtype=torch.int64),
}


@pytest.mark.parametrize("labels", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("distance", ["squared", "plain"])
@pytest.mark.parametrize("kind", ["semi_hard", "batch_hard", "batch_all"])
def test_without_a_triplet_the_loss_is_zero_with_a_gradient(
    kind: str, distance: str, labels: Tensor
) -> None:
    loss = TripletLoss(Triplet.model_validate({"distance": distance, "selection": {"kind": kind}}))
    raw = embeddings(torch.float32, len(labels))
    term = loss(raw, labels)
    term.loss.backward()
    assert term.loss.item() == 0
    assert term.log["active_triplets"] == 0
    assert raw.grad is not None
    assert torch.count_nonzero(raw.grad) == 0


@pytest.mark.parametrize("distance", ["squared", "plain"])
@pytest.mark.parametrize("kind", ["semi_hard", "batch_hard", "batch_all"])
def test_where_all_embeddings_are_one_nothing_is_nan(kind: str, distance: str) -> None:
    recipe = {"margin": 0.3, "distance": distance, "selection": {"kind": kind}}
    raw = torch.ones(len(LABELS), DIMENSION, requires_grad=True)
    term = TripletLoss(Triplet.model_validate(recipe))(raw, LABELS)
    term.loss.backward()
    assert term.loss.item() == pytest.approx(0 if kind == "semi_hard" else 0.3, abs=1e-6)
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()


def test_active_triplets_are_the_share_of_all_that_have_a_loss() -> None:
    raw = embeddings(torch.float64)
    term = TripletLoss(Triplet(margin=0.4))(raw, LABELS)
    d = slow_distances(raw, squared=True)
    active = len(slow_triplets(d, 0.4, "batch_all"))
    every = len(slow_triplets(d, math.inf, "batch_all"))
    assert term.log["active_triplets"] == pytest.approx(active / every)


def test_the_sum_weighs_each_part_and_logs_it_unweighted() -> None:
    recipe = Losses(softmax=Softmax(weight=2.0), center=Center(weight=0.5))
    total = WeightedSum(recipe, PEOPLE, DIMENSION)
    loss, log = total(embeddings(torch.float32), LABELS)
    assert loss.item() == pytest.approx(2 * log["softmax"] + 0.5 * log["center"])
    assert log["loss"] == loss.item()
