"""The experiment on the size of batches."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mien_training.data import Crops
from mien_training.lab import digits, recipes
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import batch_size
from mien_training.lab.experiments.batch_size import (
    HIGH,
    LOW,
    MEMORY,
    MINI,
    NOISE,
    ONE,
    SECONDS,
    SIZES,
    STEPS,
    WHOLE,
    at,
)
from mien_training.lab.fits import ERROR
from mien_training.lab.learning import Shuffled, learn
from mien_training.lab.record import Comparison, Finding, Verdict
from mien_training.learner import Learner
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

PICTURES = 1200


def judged(
    course: float = 4.0,
    noise: tuple[float, ...] = (5.0, 2.0, 1.0, 0.5, 0.0),
    intervals: dict[tuple[str, float], tuple[float, float]] | None = None,
) -> Finding:
    steps = (1200.0, 150.0, 38.0, 10.0, 1.0)
    figures = {
        at(name, rate): {
            ERROR: 9.0,
            STEPS: steps[number],
            NOISE: noise[number],
            MEMORY: 1.0 + number,
            SECONDS: 1.0,
        }
        for rate in (LOW, HIGH)
        for number, name in enumerate(SIZES)
    }
    counted = made_up.table("Course", **{batch_size._COURSE_SETTING: {STEPS: course}})
    return batch_size.judge(counted, made_up.table("Digits", **figures), ends(intervals), PICTURES)


def ends(
    changed: dict[tuple[str, float], tuple[float, float]] | None = None,
) -> list[Comparison]:
    known = {(WHOLE, LOW): (5.0, 9.0), (WHOLE, HIGH): (5.0, 9.0), (ONE, HIGH): (5.0, 9.0)}
    known |= {(ONE, LOW): (-9.0, -5.0)} | (changed or {})
    return [
        made_up.comparison(*interval, second=at(name, rate))
        for (name, rate), interval in known.items()
    ]


def test_all_parts_make_it_reproduced() -> None:
    found = judged()
    assert found.verdict is Verdict.REPRODUCED
    assert "2000 examples in batches of 500 make 4 iterations" in found.sentence


def test_another_count_or_noise_that_grows_is_told() -> None:
    assert judged(course=5).verdict is Verdict.NOT_REPRODUCED
    assert judged(noise=(5.0, 6.0, 1.0, 0.5, 0.0)).verdict is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize("place", [(WHOLE, LOW), (WHOLE, HIGH), (ONE, HIGH)])
def test_the_mini_batch_must_err_less(place: tuple[str, float]) -> None:
    assert judged(intervals={place: (-1, 1)}).verdict is Verdict.INCONCLUSIVE
    assert judged(intervals={place: (-2, -1)}).verdict is Verdict.NOT_REPRODUCED


@pytest.fixture(scope="module")
def crops() -> Crops:
    found = digits.load(recipes.DIGIT_SIDE).train
    return Crops(found.people, found.images[:64], found.labels[:64])


@pytest.fixture
def looked(crops: Crops) -> Callable[[Callable[[Learner], float]], float]:
    def at_the_start(measure: Callable[[Learner], float]) -> float:
        found: list[float] = []

        def look(learner: Learner, steps: int) -> None:
            if steps == 0:
                found.append(measure(learner))

        recipe = recipes.digits(1, 1, network=batch_size.NETWORK)
        learn(recipe, crops, Shuffled(crops, 64, 1), look)
        return found[0]

    return at_the_start


def test_the_whole_gradient_is_the_mean_of_its_halves(
    crops: Crops, looked: Callable[[Callable[[Learner], float]], float]
) -> None:
    def gap(learner: Learner) -> float:
        halves = [
            batch_size.gradient(learner, crops, rows) for rows in (np.arange(32), np.arange(32, 64))
        ]
        whole = batch_size.gradient(learner, crops, np.arange(64))
        assert whole.norm() > 0
        return float((torch.stack(halves).mean(dim=0) - whole).norm() / whole.norm())

    assert looked(gap) < 1e-5


def test_noise_falls_as_the_root_of_the_size(
    crops: Crops, looked: Callable[[Callable[[Learner], float]], float]
) -> None:
    """Drawn without replacement from N: ∝ √((1/B - 1/N))."""
    one = looked(lambda learner: batch_size.noise(learner, crops, 1))
    sixteen = looked(lambda learner: batch_size.noise(learner, crops, 16))
    assert one / sixteen == pytest.approx(((1 - 1 / 64) / (1 / 16 - 1 / 64)) ** 0.5, rel=0.25)
    assert looked(lambda learner: batch_size.noise(learner, crops, None)) == 0


def test_what_is_kept_grows_with_the_batch(
    crops: Crops, looked: Callable[[Callable[[Learner], float]], float]
) -> None:
    one = looked(lambda learner: batch_size.kept(learner, crops, 1))
    ten = looked(lambda learner: batch_size.kept(learner, crops, 10))
    assert ten == pytest.approx(10 * one, rel=0.05)
    maps = 8 * 16 * 16 * 4  # of the first convolution alone, float32
    assert one > maps


@pytest.fixture(scope="module")
def result() -> Result:
    return batch_size.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_it_runs_small(result: Result) -> None:
    counted, found = result.tables
    assert [list(figures.values()) for figures in counted.means.values()] == [[4.0]]
    assert found.means[at(ONE, LOW)][STEPS] == 1198
    assert found.means[at(MINI, LOW)][STEPS] == 38
    assert found.means[at(WHOLE, LOW)][STEPS] == 1
    assert NOISE not in found.means[at(MINI, HIGH)], "measured once, before learning"
    assert len(result.comparisons) == 4


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
