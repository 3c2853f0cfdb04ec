"""One setting learned once for each seed: on digits, measured by pictures that are taken for
another class, or on faces, measured by the EER over people who were not learned from.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mien_training.config.recipe import Recipe
from mien_training.lab import classes, recipes
from mien_training.lab.classes import Wrong
from mien_training.lab.comparison import PER_CENT, Between, of_eers, of_units
from mien_training.lab.learning import Lesson, Look, Shuffled, learn
from mien_training.lab.record import Comparison, Row
from mien_training.lab.split import Split
from mien_training.lab.verification import Verified

ERROR, EER = "test error (%)", "EER, unseen people (%)"
PARAMETERS = "parameters"
STEPS = "steps learned"
"""Fewer than others have where diagnose stopped it; it is then measured as it stood."""
POINTS = 40
"""Of a curve over steps."""


class Fit(Protocol):
    """What was learned with one seed, and how it is measured."""

    @property
    def lesson(self) -> Lesson: ...

    def row(self, setting: str, **more: float) -> Row:
        """Its figures, and more."""
        ...


@dataclass(frozen=True)
class DigitFit:
    lesson: Lesson
    wrong: Wrong
    """[N], of the test pictures."""

    @property
    def error(self) -> float:
        """Per cent."""
        return PER_CENT * float(self.wrong.mean())

    def row(self, setting: str, **more: float) -> Row:
        return row(self.lesson, setting, {ERROR: self.error} | more)


@dataclass(frozen=True)
class FaceFit:
    lesson: Lesson
    verified: Verified

    def row(self, setting: str, **more: float) -> Row:
        return row(self.lesson, setting, {EER: PER_CENT * self.verified.eer} | more)


def on_digits(
    each: Iterable[Recipe],
    data: Split,
    batch: int | None = recipes.DIGIT_BATCH,
    look: Look | None = None,
) -> list[DigitFit]:
    """One for each recipe, on shuffled batches; None takes all pictures at once."""
    fits = []
    for recipe in each:
        lesson = learn(recipe, data.train, Shuffled(data.train, batch, recipe.seed), look)
        fits.append(DigitFit(lesson, classes.wrong(lesson.learner, data.test)))
    return fits


def on_faces(each: Iterable[Recipe], data: Split) -> list[FaceFit]:
    """One for each recipe, on its P×K batches."""
    lessons = [learn(recipe, data.train) for recipe in each]
    return [FaceFit(lesson, Verified.by(lesson.network, data.test)) for lesson in lessons]


def in_pieces(values: Sequence[float]) -> list[float]:
    """Means of at most `POINTS` pieces in a row, of nearly the same length; none of none."""
    if not values:
        return []
    pieces = np.array_split(np.asarray(values), min(POINTS, len(values)))
    return [float(piece.mean()) for piece in pieces]


def mean_of(columns: Sequence[Sequence[float]]) -> list[float]:
    """Of several runs, as far as all went: diagnose may have stopped one."""
    shortest = min(map(len, columns))
    return [float(value) for value in np.mean([each[:shortest] for each in columns], axis=0)]


def parameters(lesson: Lesson) -> float:
    """Of the network and its class head."""
    modules = (lesson.network, lesson.learner.losses)
    return float(sum(weight.numel() for module in modules for weight in module.parameters()))


def errors_compared(fits: Mapping[str, Sequence[DigitFit]], first: str, second: str) -> Comparison:
    return of_units(
        Between(ERROR, first, second),
        [each.wrong for each in fits[first]],
        [each.wrong for each in fits[second]],
        "test pictures",
        scale=PER_CENT,
    )


def eers_compared(fits: Mapping[str, Sequence[FaceFit]], first: str, second: str) -> Comparison:
    between = Between(EER, first, second)
    one, other = ([each.verified for each in fits[name]] for name in (first, second))
    return of_eers(between, one, other)


def rows(
    fits: Mapping[str, Sequence[Fit]],
    more: Callable[[Lesson], dict[str, float]] = lambda _lesson: {},
) -> list[Row]:
    """Of all settings and seeds; `more` gives figures besides those of the fit."""
    return [
        each.row(setting, **more(each.lesson))
        for setting, of_setting in fits.items()
        for each in of_setting
    ]


def row(lesson: Lesson, setting: str, figures: dict[str, float]) -> Row:
    """Of one fit; the seed is that of its recipe."""
    return Row(setting=setting, seed=lesson.learner.recipe.seed, figures=figures)
