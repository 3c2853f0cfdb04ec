"""The learning rate over time."""

import pytest

from mien_training.config.optimisation import Constant, Cosine
from mien_training.schedule import factor


def test_a_warm_up_rises_in_equal_steps_and_ends_at_one() -> None:
    recipe = Constant(kind="constant", warm_up_epochs=0.5)
    rates = [factor(recipe, step, steps=40, steps_per_epoch=8) for step in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1, 1, 1]


def test_a_cosine_falls_from_one_over_the_middle_to_its_final_share() -> None:
    recipe = Cosine(kind="cosine", warm_up_epochs=1, final=0.2)
    rates = [factor(recipe, step, steps=110, steps_per_epoch=10) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1
    assert rates[50] == pytest.approx(0.6)
    assert rates[-1] == pytest.approx(0.2)


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    recipe = Cosine(kind="cosine", warm_up_epochs=5)
    rates = [factor(recipe, step, steps=4, steps_per_epoch=2) for step in range(4)]
    assert rates == [0.1, 0.2, 0.3, 0.4]
