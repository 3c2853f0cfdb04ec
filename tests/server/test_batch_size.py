"""Which batch is chosen, by networks whose cost is known."""

import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest

from mien.model.embedder import Embedder
from mien.server import batch_size
from tests import bundles


class Costing(Embedder):
    """A network that says, by a clock of its own, how many milliseconds so many crops cost."""

    def __init__(self, cost: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(bundles.network(), bundles.SPEC, threads=1)
        self.cost, self.spent = cost, 0.0
        monkeypatch.setattr(time, "thread_time", lambda: self.spent)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.spent += self.cost(len(crops)) / 1000
        return crops


@pytest.mark.parametrize(
    ("cost", "best"),
    [
        (lambda crops: crops, 1),
        (lambda crops: 0.98 * crops if crops > 1 else crops, 1),
        (lambda crops: 3 + crops, 32),
        (lambda crops: 0.2 * (crops == 1) + 0.1 * (crops == 2) + crops, 4),
        (lambda crops: crops**2, 1),
        (lambda crops: 300 * crops - 10 * crops**2, 2),
    ],
    ids=[
        "all the same",
        "too little to wait for",
        "a cost of each run",
        "up to 4",
        "worse",
        "too slow",
    ],
)
def test_the_smallest_batch_that_larger_ones_hardly_better(
    cost: Callable[[int], float], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert batch_size.measure(Costing(cost, monkeypatch)) == best


def test_rounds_that_others_disturbed_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = itertools.count()

    def cost(crops: int) -> float:
        once_in_seven = 1 if next(runs) % 7 else 3
        return once_in_seven * (3 + crops)

    assert batch_size.measure(Costing(cost, monkeypatch)) == 32


def test_a_real_network_gets_a_power_of_two() -> None:
    found = batch_size.measure(Embedder(bundles.network(), bundles.SPEC, threads=1))
    assert found in {1, 2, 4, 8, 16, 32}
