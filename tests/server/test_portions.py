"""Pictures dealt out to threads."""

import heapq
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.server.portions import AT_ONCE, LEAST, portions


@given(count=st.integers(0, 300), cores=st.integers(1, 64))
def test_everything_comes_once_and_in_order(count: int, cores: int) -> None:
    dealt = list(portions(range(count), cores))
    assert [place for portion in dealt for place in portion] == list(range(count))
    sizes = [len(portion) for portion in dealt]
    assert all(1 <= size <= AT_ONCE for size in sizes)
    assert all(size >= LEAST for size in sizes[:-1])
    assert sizes == sorted(sizes, reverse=True)


def test_the_last_are_few() -> None:
    sizes = [len(portion) for portion in portions(range(128), 2)]
    assert sizes == [16] * 5 + [12, 9, 7, 5, 4, 4, 4, 3]


@pytest.mark.parametrize("count", [1, 4, 16, 17, 128])
def test_one_core_waits_for_nobody(count: int) -> None:
    assert len(list(portions(range(count), 1))) == -(-count // AT_ONCE)


def test_a_small_group_keeps_every_core_at_work() -> None:
    sizes = [len(portion) for portion in portions(range(20), 4)]
    assert sizes == [4] * 5


def ended(parts: Sequence[Sequence[int]], costs: Sequence[float], cores: int) -> float:
    """When the last thread is done, each taking the next part as soon as it can."""
    free = [0.0] * cores
    for part in parts:
        heapq.heappush(free, heapq.heappop(free) + sum(costs[place] for place in part))
    return max(free)


@pytest.mark.parametrize("cores", [2, 4, 8])
def test_cores_idle_less_than_with_even_parts(cores: int) -> None:
    """Over many groups of pictures that take unlike long."""
    dice, idle = np.random.default_rng(0), {"even": 0.0, "dealt": 0.0}
    for _ in range(100):
        costs = dice.lognormal(sigma=0.8, size=128).tolist()
        even = [range(at, at + AT_ONCE) for at in range(0, 128, AT_ONCE)]
        idle["even"] += ended(even, costs, cores) - sum(costs) / cores
        dealt = list(portions(range(128), cores))
        idle["dealt"] += ended(dealt, costs, cores) - sum(costs) / cores
    assert idle["dealt"] < 0.6 * idle["even"]
