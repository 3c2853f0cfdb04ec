"""Which of two ways a lone crop takes, by a clock of the test's own."""

import time

import numpy as np
import pytest

from mien.server.faster import AGAIN, KNOWN, LEAST, Faster

CROP = np.zeros((1, 1, 1, 3), np.uint8)


class Ways:
    """Two, with their seconds; `taken` has which was gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wide: float, narrow: float) -> None:
        self.seconds = {"wide": wide, "narrow": narrow}
        self.now = 0.0
        self.taken: list[str] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.lone = Faster(lambda crops: self._go("wide"), lambda crops: self._go("narrow"))

    def _go(self, way: str) -> np.ndarray:
        self.now += self.seconds[way]
        self.taken.append(way)
        return np.full((1, 1), self.seconds[way], np.float32)

    def runs(self, count: int) -> list[str]:
        self.taken.clear()
        for _ in range(count):
            self.lone(CROP)
        return self.taken


@pytest.mark.parametrize(("wide", "narrow", "better"), [(2, 4, "wide"), (8, 4, "narrow")])
def test_each_is_tried_and_then_the_faster_is_taken(
    wide: float, narrow: float, better: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Ways(monkeypatch, wide, narrow).runs(AGAIN - 1)
    assert taken[: 2 * LEAST] == ["wide", "narrow"] * LEAST
    assert set(taken[2 * LEAST :]) == {better}


def test_what_was_slower_is_taken_again_once_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways(monkeypatch, wide=8, narrow=4)
    ways.runs(2 * LEAST)
    ways.seconds["wide"] = 2
    assert ways.runs(3) == ["narrow"] * 3
    ways.runs(KNOWN * AGAIN)
    assert ways.runs(3) == ["wide"] * 3


@pytest.mark.parametrize("before", [0, 2, 2 * LEAST + KNOWN])
def test_one_slow_run_changes_nothing(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways(monkeypatch, wide=2, narrow=4)
    ways.runs(before)
    ways.seconds["wide"] = 12
    assert ways.runs(1) == ["wide"]
    ways.seconds["wide"] = 2
    ways.runs(2 * LEAST - 1)
    assert ways.runs(3) == ["wide"] * 3


def test_vectors_are_those_of_the_way_that_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways(monkeypatch, wide=2, narrow=4)
    assert [float(ways.lone(CROP)[0, 0]) for _ in range(3)] == [2, 4, 2]
