"""Lanes of the batcher beside each other: who begins when, and that nobody is forgotten."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from mien.matching.metrics import Vectors
from mien.server.batching import Batcher, Crops, Limits
from tests.server.waiting import WAIT_SECONDS, wait

FOR_EVER = 1000.0


class Network:
    """The first pixel of each crop as its vector; a crop whose pixel is `held` waits for `go`."""

    held = 255

    def __init__(self) -> None:
        self.go = threading.Event()
        self.runs: list[int] = []

    def __call__(self, crops: Crops) -> Vectors:
        self.runs.append(len(crops))
        if (crops == self.held).any():
            assert self.go.wait(WAIT_SECONDS)
        return crops.reshape(len(crops), -1)[:, :1].astype(np.float32)


class Lanes:
    def __init__(self, batcher: Batcher, network: Network, callers: ThreadPoolExecutor) -> None:
        self.batcher, self.network, self.callers = batcher, network, callers

    def ask(self, *pixels: int) -> "Future[Vectors]":
        crops = np.array(pixels, np.uint8).reshape(-1, 1, 1, 1)
        return self.callers.submit(self.batcher.embed, crops)

    def keep_one_busy(self) -> None:
        self.ask(Network.held)
        wait(lambda: len(self.network.runs) == 1)

    def ask_and_wait(self, pixel: int, waiting: int) -> "Future[Vectors]":
        answer = self.ask(pixel)
        wait(lambda: self.batcher.counts().waiting == waiting)
        return answer


@contextmanager
def lanes(count: int, max_wait: float) -> Iterator[Lanes]:
    network = Network()
    batcher = Batcher(network, network, count, Limits(batch=4, queue=1000, max_wait=max_wait))
    with ThreadPoolExecutor(16) as callers:
        try:
            yield Lanes(batcher, network, callers)
        finally:
            network.go.set()
            batcher.close(WAIT_SECONDS)


def test_a_batch_that_is_full_does_not_wait() -> None:
    """Each crop comes alone, while a lane waits for more and the other is at work."""
    with lanes(2, FOR_EVER) as two:
        two.keep_one_busy()
        answers = [two.ask_and_wait(pixel, pixel) for pixel in range(1, 4)]
        answers.append(two.ask(4))
        found = [float(answer.result(WAIT_SECONDS)[0, 0]) for answer in answers]
        assert found == [1, 2, 3, 4]
        assert two.network.runs == [1, 4]


def test_too_few_are_embedded_when_they_have_waited_long_enough() -> None:
    with lanes(2, 0.05) as two:
        two.keep_one_busy()
        assert two.ask(1).result(WAIT_SECONDS)[0, 0] == 1


def test_too_few_are_embedded_when_no_lane_is_at_work_any_more() -> None:
    with lanes(2, FOR_EVER) as two:
        two.keep_one_busy()
        answer = two.ask_and_wait(7, 1)
        two.network.go.set()
        assert answer.result(WAIT_SECONDS)[0, 0] == 7


def test_nobody_is_forgotten() -> None:
    """A lane that is not woken when it should be leaves its callers waiting for ever."""
    dice = np.random.default_rng(3)
    for count in (1, 2, 3):
        with lanes(count, 0.001) as some:
            asked = [dice.integers(0, 200, dice.integers(1, 7)).tolist() for _ in range(500)]
            answers = [some.ask(*pixels) for pixels in asked]
            for pixels, answer in zip(asked, answers, strict=True):
                assert answer.result(WAIT_SECONDS)[:, 0].tolist() == pixels
            told = sum(map(len, asked))
            wait(lambda: some.batcher.counts().embedded == told)  # noqa: B023 - called here
