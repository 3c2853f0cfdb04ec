"""The learning rate over time."""

import pytest

from mien_training.config.optimisation import Constant, Cosine, Plateau, Step
from mien_training.patience import Patience
from mien_training.schedule import Falls, factor


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


def test_steps_fall_by_the_factor_after_so_many_epochs() -> None:
    recipe = Step(kind="step", every_epochs=2, factor=0.5)
    rates = [factor(recipe, step, steps=50, steps_per_epoch=5) for step in (0, 9, 10, 19, 20, 49)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.0625]


def test_a_plateau_falls_once_patience_is_over_and_waits_again() -> None:
    recipe = Plateau(kind="plateau", factor=0.1, patience=2, metric="fnmr")
    falls, rates = Falls(recipe), []
    for fnmr in (0.5, 0.4, 0.4, 0.6, 0.5, 0.5, 0.3, 0.35, 0.2):
        falls.validated({"eer": 0.0, "fnmr": fnmr})
        rates.append(factor(recipe, 9, steps=90, steps_per_epoch=1, falls=falls.count))
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01])


def test_a_plateau_goes_on_from_its_state() -> None:
    recipe = Plateau(kind="plateau", patience=2)
    first, second = Falls(recipe), Falls(recipe)
    for eer in (0.2, 0.3):
        first.validated({"eer": eer})
    second.load_state_dict(first.state_dict())
    second.validated({"eer": 0.25})
    assert second.count == 1


def test_other_schedules_never_fall_by_validation() -> None:
    falls = Falls(Constant(kind="constant"))
    for _ in range(9):
        falls.validated({"eer": 0.5})
    assert falls.count == 0


def test_patience_is_over_after_so_many_without_a_new_best() -> None:
    patience = Patience(2)
    assert [patience.take(value) for value in (0.3, 0.3, 0.2, 0.2)] == [True, False, True, False]
    assert not patience.is_over
    patience.take(0.2)
    assert patience.is_over
