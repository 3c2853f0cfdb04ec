"""The experiment on batch normalisation."""

import pytest
import torch
from torch import nn

from mien_training import networks
from mien_training.lab import recipes
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import batchnorm
from mien_training.lab.experiments.batchnorm import (
    HE,
    LARGE,
    PLACES,
    RATES,
    SMALL,
    USUAL_RATE,
    WITH,
    WITHOUT,
    setting,
)
from mien_training.lab.fits import EER
from mien_training.lab.record import Finding, Verdict
from mien_training.networks.cnn import PlainNetwork
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

DECISIVE = [(max(RATES), HE), (USUAL_RATE, SMALL), (USUAL_RATE, LARGE)]


def judged(changed: dict[tuple[float, str], tuple[float, float]] | None = None) -> Finding:
    eers = {
        setting(each, *place): {EER: start + number}
        for each, start in ((WITHOUT, 20.0), (WITH, 10.0))
        for number, place in enumerate(PLACES)
    }
    known = dict.fromkeys(PLACES, (1.0, 2.0))
    known |= dict.fromkeys(DECISIVE, (-20.0, -10.0)) | (changed or {})
    comparisons = [made_up.comparison(*known[place]) for place in PLACES]
    table = made_up.table("Faces", **eers)
    return batchnorm.judge(table, batchnorm.spans_of(table), comparisons)


def test_the_usual_rate_decides_nothing() -> None:
    found = judged()
    assert found.verdict is Verdict.REPRODUCED
    assert "22.0 % and 12.0 % at η = 1;" in found.sentence
    assert "span 3.0 points without and 3.0 with" in found.sentence


@pytest.mark.parametrize("place", DECISIVE)
def test_each_hard_place_must_be_better(place: tuple[float, str]) -> None:
    assert judged({place: (-1, 1)}).verdict is Verdict.INCONCLUSIVE
    assert judged({place: (1, 2)}).verdict is Verdict.NOT_REPRODUCED


def test_it_stands_between_a_layer_and_its_activation_and_gives_mean_0_and_deviation_1() -> None:
    recipe = batchnorm._recipe(1, 1, WITH, 0.1, LARGE)
    torch.manual_seed(1)
    backbone = networks.build(recipe).backbone
    assert isinstance(backbone, PlainNetwork)
    block = backbone.blocks[0]
    assert isinstance(block, nn.Sequential)
    names = [type(layer).__name__ for layer in block]
    assert names == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    maps = block[:2](torch.randn(8, 3, recipes.FACE_SIDE, recipes.FACE_SIDE))
    assert maps.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.0] * 8, abs=1e-5)
    assert maps.std(dim=(0, 2, 3)).tolist() == pytest.approx([1.0] * 8, abs=1e-3)


@pytest.fixture(scope="module")
def result() -> Result:
    return batchnorm.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_it_runs_small(result: Result) -> None:
    found, spans = result.tables
    assert list(spans.means) == [WITHOUT, WITH]
    assert len(found.means) == 2 * len(PLACES)
    assert len(result.comparisons) == len(PLACES)
    assert all(0 <= figures[EER] <= 100 for figures in found.means.values())
    assert {curve.panel for curve in result.curves} == {"learning rate", "first weights"}


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)
