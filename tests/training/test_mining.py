"""Selectors against slow loops over all triplets, by what must hold of any selection, and by how
often a drawn negative is drawn."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeAlias

import pytest
import torch
from pytorch_metric_learning.miners import DistanceWeightedMiner
from pytorch_metric_learning.utils.loss_and_miner_utils import get_random_triplet_indices
from torch import Tensor
from torch.nn import functional as F

from mien_training.losses.distance import distances as distances_of
from mien_training.mining import (
    DistanceWeighted,
    Selection,
    Selector,
    active_share,
    batch_all,
    batch_hard,
    random,
    semi_hard,
)

P, K, D, MARGIN = 6, 4, 8, 0.3
weighted = DistanceWeighted(dimension=D, squared=True, nearest=0.5, farthest=1.4)
SELECTORS: list[Selector] = [semi_hard, batch_hard, batch_all, random, weighted]
selectors = pytest.mark.parametrize("select", SELECTORS)
UNEVEN = (1, 2, 3, 7, 4)
"""Pictures of each person."""
DRAWS = 1500
Triplet: TypeAlias = tuple[int, int, int]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture(params=[(K,) * P, UNEVEN, (12, 12)], ids=str)
def labels(request: pytest.FixtureRequest) -> Tensor:
    pictures = torch.tensor(request.param)
    ordered = torch.arange(len(pictures)).repeat_interleave(pictures)
    return ordered[torch.randperm(len(ordered), generator=_generator())]


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    kind: torch.dtype = request.param
    return kind


@pytest.fixture
def unit(labels: Tensor, dtype: torch.dtype) -> Tensor:
    return directions(len(labels)).to(dtype)


def directions(count: int) -> Tensor:
    """Unit vectors, always the same, float64 [count, D]."""
    return F.normalize(torch.randn(count, D, generator=_generator(), dtype=torch.float64))


@pytest.fixture
def distances(unit: Tensor) -> Tensor:
    return distances_of(unit, squared=True)


def every(labels: Tensor) -> Iterator[Triplet]:
    rows = range(len(labels))
    for a in rows:
        for p in rows:
            for n in rows:
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    yield a, p, n


def pull_of(triplets: list[Triplet], size: int) -> Tensor:
    pull = torch.zeros(size, size, dtype=torch.int64)
    for a, p, n in triplets:
        pull[a, p] += 1
        pull[a, n] -= 1
    return pull


def assert_selected(
    selection: Selection, triplets: list[Triplet], distances: Tensor, margin: float = MARGIN
) -> None:
    """The selection is these triplets, of which those with a loss pull."""
    d = distances.tolist()
    active = [(a, p, n) for a, p, n in triplets if d[a][n] < d[a][p] + margin]
    assert selection.selected == len(triplets)
    assert selection.active == len(active)
    assert torch.equal(selection.pull, pull_of(active, len(distances)))


SLOW: dict[Selector, Callable[[float, float], bool]] = {
    batch_all: lambda near, far: far < near + MARGIN,
    semi_hard: lambda near, far: near < far < near + MARGIN,
}


@pytest.mark.parametrize("select", SLOW)
def test_bands_are_what_three_loops_select(
    select: Selector, distances: Tensor, labels: Tensor
) -> None:
    d = distances.tolist()
    wanted = [t for t in every(labels) if SLOW[select](d[t[0]][t[1]], d[t[0]][t[2]])]
    assert_selected(select(distances, labels, MARGIN), wanted, distances)


@pytest.mark.parametrize("select", SLOW)
def test_bands_with_many_equal_distances_leave_their_borders_out(
    select: Selector, labels: Tensor, dtype: torch.dtype
) -> None:
    steps = torch.randint(0, 4, (len(labels),) * 2, generator=_generator())
    distances = (steps + steps.T).to(dtype) / 4
    d = distances.tolist()
    margin = 0.5
    wanted = [
        (a, p, n)
        for a, p, n in every(labels)
        if d[a][n] < d[a][p] + margin and (select is batch_all or d[a][p] < d[a][n])
    ]
    assert_selected(select(distances, labels, margin), wanted, distances, margin)


def test_batch_hard_gives_every_anchor_its_worst_triplet(distances: Tensor, labels: Tensor) -> None:
    worst: dict[int, Triplet] = {}
    gaps = {(a, p, n): float(distances[a, p] - distances[a, n]) for a, p, n in every(labels)}
    for triplet in sorted(gaps, key=gaps.__getitem__):
        worst[triplet[0]] = triplet
    assert_selected(batch_hard(distances, labels, MARGIN), list(worst.values()), distances)


def test_batch_all_with_an_endless_margin_has_every_triplet(
    distances: Tensor, labels: Tensor
) -> None:
    there_are = len(list(every(labels)))
    assert batch_all(distances, labels, torch.inf).selected == there_are
    assert active_share(distances, labels, torch.inf) == 1


def test_of_p_people_with_k_pictures_there_are_as_many_triplets_as_combinatorics_says(
    dtype: torch.dtype,
) -> None:
    labels = torch.arange(P).repeat_interleave(K)
    count = batch_all(torch.zeros(P * K, P * K, dtype=dtype), labels, MARGIN).selected
    assert count == (P * K) * (K - 1) * (P * K - K)


@selectors
def test_every_triplet_pulls_one_positive_and_pushes_one_negative(
    select: Selector, distances: Tensor, labels: Tensor
) -> None:
    selection = select(distances, labels, MARGIN)
    one = labels.unsqueeze(0) == labels.unsqueeze(1)
    assert selection.active > 0
    assert selection.pull[one].min() >= 0
    assert selection.pull[~one].max() <= 0
    assert torch.count_nonzero(selection.pull.diagonal()) == 0
    assert torch.count_nonzero(selection.pull.sum(dim=1)) == 0
    assert selection.pull[one].sum() == selection.active <= selection.selected


@pytest.mark.parametrize("select", [random, weighted])
def test_a_draw_has_one_negative_for_each_anchor_and_positive(
    select: Selector, distances: Tensor, labels: Tensor
) -> None:
    one = labels.unsqueeze(0) == labels.unsqueeze(1)
    expected = one.to(torch.int64).fill_diagonal_(0)
    selection = select(distances, labels, torch.inf)
    assert selection.selected == selection.active == int(expected.sum())
    assert torch.equal(selection.pull.clamp(min=0), expected)


@pytest.mark.parametrize("select", [random, weighted])
def test_a_draw_follows_the_seed_of_torch(
    select: Selector, distances: Tensor, labels: Tensor
) -> None:
    pulls = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        pulls.append(select(distances, labels, torch.inf).pull)
    assert torch.equal(pulls[0], pulls[1])
    assert not torch.equal(pulls[0], pulls[2])


def drawn_shares(select: Selector, distances: Tensor, labels: Tensor) -> Tensor:
    """How often each negative is drawn for each anchor, [B, B]; a row adds up to 1, or is 0."""
    pulls = [select(distances, labels, torch.inf).pull for _ in range(DRAWS)]
    counts = -torch.stack(pulls).sum(dim=0).clamp(max=0)
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


def standard_error(share: Tensor) -> Tensor:
    """Of a share that is measured by draws, with one to spare for shares near 0."""
    return (share * (1 - share) / DRAWS).sqrt() + 1 / DRAWS


def test_random_draws_all_negatives_alike_at_any_distance(
    distances: Tensor, labels: Tensor
) -> None:
    torch.manual_seed(1)
    share = drawn_shares(random, distances, labels)
    negatives = labels.unsqueeze(0) != labels.unsqueeze(1)
    drawing = (~negatives).sum(dim=1, keepdim=True) > 1  # who has a positive
    expected = negatives * drawing / negatives.sum(dim=1, keepdim=True)
    assert ((share - expected).abs() < 5 * standard_error(expected)).all()


def counted(drawn: Iterable[tuple[Tensor, Tensor]], size: int) -> Tensor:
    """How often each negative comes with each anchor, as `drawn_shares`."""
    counts: Counter[tuple[int, int]] = Counter()
    for anchors, negatives in drawn:
        counts.update(zip(anchors.tolist(), negatives.tolist(), strict=True))
    shares = torch.zeros(size, size)
    for (a, n), count in counts.items():
        shares[a, n] = count
    return shares / shares.sum(dim=1, keepdim=True).clamp(min=1)


def assert_drawn_alike(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.sum() > 0
    assert ((ours - theirs).abs() < 5 * 2**0.5 * standard_error(theirs)).all()


def test_random_draws_as_often_as_pytorch_metric_learning(
    distances: Tensor, labels: Tensor
) -> None:
    torch.manual_seed(1)
    draws = (get_random_triplet_indices(labels, t_per_anchor=1) for _ in range(DRAWS))
    theirs = counted(((anchors, negatives) for anchors, _, negatives in draws), len(labels))
    assert_drawn_alike(drawn_shares(random, distances, labels), theirs)


def test_distance_weighted_draws_by_the_inverse_of_the_papers_density(dtype: torch.dtype) -> None:
    labels = torch.tensor([0, 0, *range(1, 7)])
    apart = torch.tensor([0.1, 0.5, 0.8, 1.1, 1.39, 1.5], dtype=dtype)
    distances = torch.ones(8, 8, dtype=dtype)
    distances[0, 2:] = apart
    density = [max(d, 0.5) ** (D - 2) * (1 - max(d, 0.5) ** 2 / 4) ** ((D - 3) / 2) for d in apart]
    inverse = torch.tensor([1 / q if d < 1.4 else 0 for d, q in zip(apart, density, strict=True)])
    inverse = inverse.to(dtype)
    weights = weighted.weights(distances, labels)[0, 2:]
    torch.testing.assert_close(weights, inverse / inverse.sum())


def test_an_anchor_whose_negatives_are_all_far_draws_them_alike(dtype: torch.dtype) -> None:
    labels = torch.tensor([0, 0, 1, 1])
    weights = weighted.weights(torch.full((4, 4), 1.5, dtype=dtype), labels)
    expected = (labels.unsqueeze(0) != labels.unsqueeze(1)).to(dtype) / 2
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("dimension", [2, 3, 128, 512])
def test_weights_are_finite_in_few_and_in_many_dimensions(
    dimension: int, dtype: torch.dtype
) -> None:
    labels = torch.arange(P).repeat_interleave(K)
    distances = torch.linspace(0, 2, (P * K) ** 2, dtype=dtype).reshape(P * K, P * K)
    weights = DistanceWeighted(dimension, False, 0.5, 1.4).weights(distances, labels)
    assert torch.isfinite(weights).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(P * K, dtype=dtype))


@cache
def their_weighted_shares(labels: tuple[int, ...]) -> Tensor:
    """By a miner that takes long, so once for both dtypes. It draws nothing for an anchor whose
    negatives are all far; the batches have none."""
    miner = DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4)
    torch.manual_seed(1)
    unit = directions(len(labels))
    draws = (miner(unit, torch.tensor(labels)) for _ in range(DRAWS))
    return counted(((anchors, negatives) for anchors, _, negatives in draws), len(labels))


def test_distance_weighted_draws_as_often_as_pytorch_metric_learning(
    distances: Tensor, labels: Tensor
) -> None:
    theirs = their_weighted_shares(tuple(labels.tolist()))
    torch.manual_seed(2)
    assert_drawn_alike(drawn_shares(weighted, distances, labels), theirs)
