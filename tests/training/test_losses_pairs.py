"""Losses over pairs and triplets against slow loops, by value and by gradient."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from mien_training.config.losses import Contrastive, PairDecision, Triplet
from mien_training.losses.contrastive import ContrastiveLoss
from mien_training.losses.distance import distances
from mien_training.losses.pair_decision import PairDecisionLoss
from mien_training.losses.triplet import TripletLoss
from tests.training.batch import (
    DEGENERATE,
    DIMENSION,
    LABELS,
    assert_finite,
    assert_same,
    assert_slopes,
    assert_zero_with_gradient,
    dtypes,
    embeddings,
)

SELECTIONS = ["semi_hard", "batch_hard", "batch_all", "random", "distance_weighted"]
selections = pytest.mark.parametrize("kind", SELECTIONS)
units = pytest.mark.parametrize("distance", ["squared", "plain"])
degenerate = pytest.mark.parametrize("labels", DEGENERATE.values(), ids=DEGENERATE)
balances = pytest.mark.parametrize("balanced", [True, False])
MARGIN = 0.4


def triplet_loss(kind: str, distance: str, margin: float = MARGIN) -> TripletLoss:
    recipe = {"margin": margin, "distance": distance, "selection": {"kind": kind}}
    return TripletLoss(Triplet.model_validate(recipe), DIMENSION)


def contrastive_loss(space: str, balanced: bool) -> ContrastiveLoss:
    recipe = {"margin": 1.3, "space": space, "balanced": balanced}
    return ContrastiveLoss(Contrastive.model_validate(recipe))


def pair_decision_loss(distance: str, balanced: bool) -> PairDecisionLoss:
    recipe = {"distance": distance, "balanced": balanced}
    return PairDecisionLoss(PairDecision.model_validate(recipe))


def slow_distances(raw: Tensor, squared: bool) -> list[list[Tensor]]:
    unit = [x / x.norm() for x in raw]
    squares = [[((x - y) ** 2).sum() for y in unit] for x in unit]
    return squares if squared else [[d.sqrt() for d in row] for row in squares]


def slow_triplets(d: list[list[Tensor]], kind: str) -> list[tuple[int, int, int]]:
    """Every triplet that a selection wants, by three loops; with "every", all there are."""
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
            return [(a, p, n) for a, p, n in triplets if d[a][p] - d[a][n] + MARGIN > 0]
        case "semi_hard":
            return [(a, p, n) for a, p, n in triplets if d[a][p] < d[a][n] < d[a][p] + MARGIN]
        case "batch_hard":
            return [
                max(
                    ((a, p, n) for b, p, n in triplets if b == a),
                    key=lambda t: (d[t[0]][t[1]] - d[t[0]][t[2]]).item(),
                )
                for a in rows
            ]
        case _:
            return triplets


@dtypes
@units
@pytest.mark.parametrize("kind", ["semi_hard", "batch_hard", "batch_all"])
def test_triplet_loss_is_the_mean_over_the_selected_triplets(
    kind: str, distance: str, dtype: torch.dtype
) -> None:
    def slow(raw: Tensor) -> Tensor:
        d = slow_distances(raw, distance == "squared")
        losses = [torch.relu(d[a][p] - d[a][n] + MARGIN) for a, p, n in slow_triplets(d, kind)]
        return torch.stack(losses).mean()

    assert_same(triplet_loss(kind, distance), slow, dtype)


@units
def test_triplet_loss_of_random_triplets_is_that_of_all_on_average(distance: str) -> None:
    raw = embeddings(torch.float64).detach()
    d = slow_distances(raw, distance == "squared")
    losses = [
        max(0.0, (d[a][p] - d[a][n]).item() + MARGIN) for a, p, n in slow_triplets(d, "every")
    ]
    # Each positive of an anchor has one negative, of 5 or 6: so weighs the mean of each anchor.
    counts = [int((LABELS[a] != LABELS).sum()) for a, _, _ in slow_triplets(d, "every")]
    expected = sum(x / n for x, n in zip(losses, counts, strict=True)) / sum(1 / n for n in counts)
    loss = triplet_loss("random", distance)
    torch.manual_seed(1)
    drawn = torch.stack([loss(raw, LABELS).loss for _ in range(2000)])
    standard_error = drawn.std().item() / math.sqrt(len(drawn))
    assert drawn.mean().item() == pytest.approx(expected, abs=4 * standard_error)


@dtypes
@balances
@pytest.mark.parametrize("space", ["raw", "unit"])
def test_contrastive_loss_draws_one_person_together_and_two_apart_up_to_the_margin(
    space: str, balanced: bool, dtype: torch.dtype
) -> None:
    def slow(raw: Tensor) -> Tensor:
        one, two = [], []
        for i, j in combinations(range(len(raw)), 2):
            x, y = raw[i], raw[j]
            if space == "unit":
                x, y = x / x.norm(), y / y.norm()
            d = (x - y).norm()
            if LABELS[i] == LABELS[j]:
                one.append(d**2 / 2)
            else:
                two.append(torch.relu(1.3 - d) ** 2 / 2)
        return slow_mean(one, two, balanced)

    assert_same(contrastive_loss(space, balanced), slow, dtype)


@dtypes
@balances
@units
def test_pair_decision_is_the_binary_cross_entropy_of_an_affine_of_the_distance(
    distance: str, balanced: bool, dtype: torch.dtype
) -> None:
    loss = pair_decision_loss(distance, balanced).to(dtype)

    def slow(raw: Tensor) -> Tensor:
        d = slow_distances(raw, distance == "squared")
        one, two = [], []
        for i, j in combinations(range(len(raw)), 2):
            z = 1 / (1 + torch.exp(-(loss.slope * d[i][j] + loss.offset)))
            if LABELS[i] == LABELS[j]:
                one.append(-torch.log(z))
            else:
                two.append(-torch.log(1 - z))
        return slow_mean(one, two, balanced)

    assert_same(loss, slow, dtype)


def slow_mean(one: list[Tensor], two: list[Tensor], balanced: bool) -> Tensor:
    if balanced:
        return (torch.stack(one).mean() + torch.stack(two).mean()) / 2
    return torch.stack(one + two).mean()


def test_pair_decision_starts_at_ten_cosines_less_five() -> None:
    loss = pair_decision_loss("squared", balanced=True)
    raw = embeddings(torch.float32)
    cosines = torch.nn.functional.cosine_similarity(raw.unsqueeze(1), raw.unsqueeze(0), dim=2)
    squares = distances(torch.nn.functional.normalize(raw), squared=True)
    torch.testing.assert_close(
        loss.slope * squares + loss.offset, 10 * cosines - 5, rtol=1e-5, atol=1e-5
    )


@units
@selections
def test_the_gradient_of_triplet_loss_agrees_with_finite_differences(
    kind: str, distance: str
) -> None:
    class SameDraw(nn.Module):
        def forward(self, raw: Tensor, labels: Tensor) -> object:
            torch.manual_seed(1)
            return triplet_loss(kind, distance)(raw, labels)

    assert_slopes(SameDraw())


@units
@balances
def test_the_gradients_of_pair_losses_agree_with_finite_differences(
    distance: str, balanced: bool
) -> None:
    assert_slopes(contrastive_loss("raw" if distance == "plain" else "unit", balanced))
    assert_slopes(pair_decision_loss(distance, balanced))


@units
@selections
@degenerate
def test_without_a_triplet_the_loss_is_zero_with_a_gradient(
    labels: Tensor, kind: str, distance: str
) -> None:
    loss = triplet_loss(kind, distance)
    assert_zero_with_gradient(loss, embeddings(torch.float32, len(labels)), labels)
    log = loss(embeddings(torch.float32, len(labels)), labels).log
    assert log["active_triplets"] == 0


@balances
@pytest.mark.parametrize("labels", [DEGENERATE["nobody"], DEGENERATE["one picture"]], ids=len)
def test_without_a_pair_the_loss_is_zero_with_a_gradient(labels: Tensor, balanced: bool) -> None:
    for loss in (contrastive_loss("unit", balanced), pair_decision_loss("squared", balanced)):
        assert_zero_with_gradient(loss, embeddings(torch.float32, len(labels)), labels)


@balances
@degenerate
def test_where_one_kind_of_pair_is_missing_nothing_is_nan(labels: Tensor, balanced: bool) -> None:
    for loss in (contrastive_loss("raw", balanced), pair_decision_loss("plain", balanced)):
        assert_finite(loss, embeddings(torch.float32, len(labels)), labels)


@dtypes
@units
@selections
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_where_all_embeddings_are_one_triplet_loss_is_the_margin_or_nothing(
    value: float, kind: str, distance: str, dtype: torch.dtype
) -> None:
    raw = torch.full((len(LABELS), DIMENSION), value, dtype=dtype, requires_grad=True)
    loss = triplet_loss(kind, distance)
    assert_finite(loss, raw, LABELS)
    expected = 0 if kind == "semi_hard" else MARGIN
    assert loss(raw, LABELS).loss.item() == pytest.approx(expected, abs=1e-6)


@dtypes
@units
@balances
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_where_all_embeddings_are_one_pair_losses_are_not_nan(
    value: float, balanced: bool, distance: str, dtype: torch.dtype
) -> None:
    for space in ("raw", "unit"):
        raw = torch.full((len(LABELS), DIMENSION), value, dtype=dtype, requires_grad=True)
        assert_finite(contrastive_loss(space, balanced), raw, LABELS)
    raw = torch.full((len(LABELS), DIMENSION), value, dtype=dtype, requires_grad=True)
    assert_finite(pair_decision_loss(distance, balanced).to(dtype), raw, LABELS)


@dtypes
@units
def test_a_distance_of_zero_has_a_gradient_of_zero(distance: str, dtype: torch.dtype) -> None:
    raw = torch.tensor([[0.5, 2.0], [0.5, 2.0]], dtype=dtype, requires_grad=True)
    distances(raw, squared=distance == "squared").sum().backward()
    assert raw.grad is not None
    assert torch.count_nonzero(raw.grad) == 0


def test_active_triplets_are_the_share_of_all_that_have_a_loss() -> None:
    raw = embeddings(torch.float64)
    d = slow_distances(raw, squared=True)
    active, every = len(slow_triplets(d, "batch_all")), len(slow_triplets(d, "every"))
    log = triplet_loss("semi_hard", "squared")(raw, LABELS).log
    assert log["active_triplets"] == pytest.approx(active / every)
