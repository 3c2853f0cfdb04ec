"""The experiment on layers and filters."""

import pytest
from torch import nn

from mien_training import networks
from mien_training.lab import recipes
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import depth
from mien_training.lab.experiments.depth import CLASSIFIER, FOUR, UPPER, WHOLE
from mien_training.lab.fits import EER, ERROR, PARAMETERS
from mien_training.lab.record import Comparison, Table, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole


@pytest.fixture(scope="module")
def result() -> Result:
    return depth.EXPERIMENT.run(Trial(Scale(1, 1)))


def tables() -> tuple[Table, Table]:
    digits: dict[str, dict[str, float]] = {}
    faces: dict[str, dict[str, float]] = {}
    for number, name in enumerate([*depth.DEPTHS, *depth.WIDTHS]):
        digits[name] = {ERROR: 1.0 + number, PARAMETERS: 1000.0 - number}
        faces[name] = {EER: 10.0 + number, PARAMETERS: 2000.0 - number}
    return made_up.table("Digits", **digits), made_up.table("Faces", **faces)


def to_four(*intervals: tuple[float, float]) -> list[Comparison]:
    return [made_up.comparison(*interval, second=FOUR) for interval in intervals]


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        (((1, 2), (0.5, 3)), Verdict.REPRODUCED),
        (((1, 2), (-1, 3)), Verdict.INCONCLUSIVE),
        (((1, 2), (-3, -1)), Verdict.NOT_REPRODUCED),
    ],
)
def test_four_layers_must_err_more_everywhere(
    intervals: tuple[tuple[float, float], ...], verdict: Verdict
) -> None:
    unasked = made_up.comparison(-9, -8, second=CLASSIFIER)
    assert depth.judge(*tables(), [*to_four(*intervals), unasked]).verdict is verdict


def test_against_all_eight_little_more_is_not_what_the_course_says() -> None:
    def verdict(low: float, high: float, first: str) -> Verdict:
        found = made_up.comparison(low, high, first=first, second=FOUR)
        return depth.judge(*tables(), [found]).verdict

    assert verdict(-1.5, 1.5, WHOLE) is Verdict.NOT_REPRODUCED
    assert verdict(-1.5, 6, WHOLE) is Verdict.INCONCLUSIVE
    assert verdict(1, 6, WHOLE) is Verdict.REPRODUCED
    assert verdict(-1.5, 1.5, UPPER) is Verdict.INCONCLUSIVE


def test_the_sentence_has_the_tables_numbers() -> None:
    sentence = depth.judge(*tables(), to_four((1, 2))).sentence
    assert "With all eight layers 1.00 % of unseen digits" in sentence
    assert "5.00 % without all four" in sentence
    assert "14.00 % without all four" in sentence


@pytest.mark.parametrize(
    ("name", "convolutions", "linear"),
    [(WHOLE, 5, 2), (depth.TOP, 5, 1), (CLASSIFIER, 5, 0), (UPPER, 3, 2), (FOUR, 3, 0)],
)
def test_layers_are_removed(name: str, convolutions: int, linear: int) -> None:
    """The embedding is one linear layer more, and with the class head the course's eighth."""
    recipe = recipes.digits(1, 1, network=depth.network(*depth.DEPTHS[name]))
    modules = list(networks.build(recipe).modules())
    assert sum(isinstance(module, nn.Conv2d) for module in modules) == convolutions
    assert sum(isinstance(module, nn.Linear) for module in modules) == linear + 1


def test_it_runs_small(result: Result) -> None:
    digits, faces, course = result.tables
    assert list(digits.means) == list(faces.means)
    assert set(digits.means) == {*depth.DEPTHS, *depth.WIDTHS} - {depth.SAME}
    assert course.means[FOUR] == {depth.ADDED: 33.5}
    assert digits.means[WHOLE][PARAMETERS] > digits.means[CLASSIFIER][PARAMETERS]
    assert len(result.comparisons) == 16
    assert "In the course the error rises by 5.7, 3.0 and 33.5 points" in result.finding.sentence


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
