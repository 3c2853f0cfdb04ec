"""Two-dimensional features of digits, with and without center loss (Wen et al. 2016, figure 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien_training.config.losses import Center, LinearHead, Losses, Softmax
from mien_training.config.networks import LeNetPlus
from mien_training.config.optimisation import Adam
from mien_training.config.recipe import Recipe
from mien_training.data import Crops
from mien_training.lab import classes, figure, fits, recipes
from mien_training.lab.classes import Wrong
from mien_training.lab.comparison import PER_CENT, Between, of_units
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import Lesson, Shuffled, learn
from mien_training.lab.record import Comparison, Finding, Row, Table, Verdict
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, is_smaller

LAMBDAS = (0.001, 0.01, 0.1, 1.0)
"""Of the course."""
SOFTMAX = "softmax alone"
SETTINGS = (SOFTMAX, *(f"λ = {weight:g}" for weight in LAMBDAS))
NETWORK = LeNetPlus(kind="lenet_plus", channels=(8, 16, 32))
"""A quarter of the paper's channels, for pictures of a third of the pixels."""
BATCH, LEARNING_RATE = 64, 0.003
SPREAD_TRAIN, SPREAD_TEST = "within / between, training", "within / between, test"
ERROR_TRAIN, ERROR_TEST = "training error (%)", "test error (%)"

Points = npt.NDArray[np.float64]
"""[N, 2]."""


@dataclass(frozen=True)
class Fit:
    """One network, as it sees both parts."""

    lesson: Lesson
    train: Points
    test: Points
    train_wrong: Wrong
    test_wrong: Wrong
    spread_train: Points
    """[N], of each picture: how far it is from the mean of its class, in units of how far the means
    of the classes are from their middle; means are those of the training pictures."""
    spread_test: Points

    def row(self, setting: str, **more: float) -> Row:
        figures = {
            SPREAD_TRAIN: float(self.spread_train.mean()),
            SPREAD_TEST: float(self.spread_test.mean()),
            ERROR_TRAIN: PER_CENT * float(self.train_wrong.mean()),
            ERROR_TEST: PER_CENT * float(self.test_wrong.mean()),
        }
        return fits.row(self.lesson, setting, figures | more)


def _run(trial: Trial) -> Result:
    data = trial.digits(recipes.DIGIT_SIDE)
    weights = dict(zip(SETTINGS, (0.0, *LAMBDAS), strict=True))
    learned = {
        setting: [fit(_recipe(seed, trial.epochs, weight), data) for seed in trial.seeds]
        for setting, weight in weights.items()
    }
    table = Table.of("Digits in two dimensions", fits.rows(learned))
    comparisons = _compared(learned)
    first = {setting: of_setting[0] for setting, of_setting in learned.items()}
    return Result((table,), comparisons, (), judge(table, comparisons), _draw(first, data))


def judge(table: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Of the spreads' comparisons there is one for each step to the next larger λ."""
    errors = {setting: table.means[setting][ERROR_TEST] for setting in SETTINGS}
    best = min(errors, key=lambda setting: errors[setting])
    spreads = [each for each in comparisons if each.figure in (SPREAD_TRAIN, SPREAD_TEST)]
    return Finding(
        verdict=every(map(is_smaller, spreads)),
        sentence=(
            f"The spread within classes over that between them, from softmax alone to "
            f"{SETTINGS[-1]}: {_told(table, comparisons, SPREAD_TRAIN)} on the digits learned "
            f"from; {_told(table, comparisons, SPREAD_TEST)} on unseen ones. The fewest unseen "
            f"digits are taken for another with {best}: {errors[best]:.2f} %, against "
            f"{errors[SOFTMAX]:.2f} % with softmax alone."
        ),
    )


def _told(table: Table, comparisons: Sequence[Comparison], spread: str) -> str:
    """The means in order, and at which steps the spread does not fall by more than chance."""
    means = ", ".join(f"{table.means[setting][spread]:.3f}" for setting in SETTINGS)
    steps = [each for each in comparisons if each.figure == spread]
    rises = [each.second for each in steps if is_smaller(each) is Verdict.NOT_REPRODUCED]
    open_ = [each.second for each in steps if is_smaller(each) is Verdict.INCONCLUSIVE]
    told = [f"it rises at {', '.join(rises)}"] if rises else []
    told += [f"it stays, as far as chance lets tell, at {', '.join(open_)}"] if open_ else []
    return f"{means} ({'; '.join(told) or 'it falls at every step'})"


def fit(recipe: Recipe, data: Split) -> Fit:
    lesson = learn(recipe, data.train, Shuffled(data.train, BATCH, recipe.seed))
    learner = lesson.learner
    train, test = (classes.embeddings(learner, part).double().numpy() for part in data)
    means = class_means(train, data.train)
    return Fit(
        lesson=lesson,
        train=train,
        test=test,
        train_wrong=classes.wrong(learner, data.train),
        test_wrong=classes.wrong(learner, data.test),
        spread_train=spread(train, data.train, means),
        spread_test=spread(test, data.test, means),
    )


def class_means(points: Points, crops: Crops) -> Points:
    """[classes, 2]."""
    return np.stack([points[crops.labels == one].mean(axis=0) for one in range(len(crops.people))])


def spread(points: Points, crops: Crops, means: Points) -> Points:
    """[N]: distance to the mean of the own class, over the root mean square of the means'."""
    between = np.sqrt(np.square(means - means.mean(axis=0)).sum(axis=1).mean())
    return np.asarray(np.linalg.norm(points - means[crops.labels], axis=1) / between)


def _recipe(seed: int, epochs: int, weight: float) -> Recipe:
    """A weight of 0 is softmax alone."""
    center = Center(weight=weight) if weight else None
    return recipes.digits(
        seed,
        epochs,
        dimension=2,
        network=NETWORK,
        losses=Losses(softmax=Softmax(head=LinearHead(kind="linear")), center=center),
        optimiser=Adam(kind="adam", learning_rate=LEARNING_RATE),
    )


def _compared(learned: dict[str, list[Fit]]) -> tuple[Comparison, ...]:
    seen = {name: [each.spread_train for each in of_name] for name, of_name in learned.items()}
    unseen = {name: [each.spread_test for each in of_name] for name, of_name in learned.items()}
    errors = [
        of_units(
            Between(ERROR_TEST, SOFTMAX, setting),
            [each.test_wrong for each in learned[SOFTMAX]],
            [each.test_wrong for each in learned[setting]],
            "test pictures",
            scale=PER_CENT,
        )
        for setting in SETTINGS[1:]
    ]
    return (
        *_steps(SPREAD_TRAIN, seen, "training pictures"),
        *_steps(SPREAD_TEST, unseen, "test pictures"),
        *errors,
    )


def _steps(spread: str, values: dict[str, list[Points]], units: str) -> list[Comparison]:
    """Each setting with the one before it."""
    return [
        of_units(Between(spread, before, after), values[before], values[after], units)
        for before, after in pairwise(SETTINGS)
    ]


CLASS_COLOURS = (*figure.COLOURS, "#7700DD", "#7A4B1E")


def _draw(first: dict[str, Fit], data: Split) -> Figure:
    drawn, panels = figure.grid(4.8, rows=2, columns=len(first))
    for column, (setting, each) in enumerate(first.items()):
        for row, (points, crops) in enumerate(((each.train, data.train), (each.test, data.test))):
            axes = panels[row * len(first) + column]
            _scatter(axes, points, crops)
            axes.set_xlabel("1st feature", fontsize=9)
            axes.set_ylabel("2nd feature", fontsize=9)
            axes.set_title(f"{setting},\n{('training', 'test')[row]}", fontsize=10)
    return drawn


def _scatter(axes: Axes, points: Points, crops: Crops) -> None:
    """A dot for each picture, and the digit at the mean of its class."""
    colours = np.array(CLASS_COLOURS)[crops.labels]
    axes.scatter(points[:, 0], points[:, 1], s=3, c=colours, linewidths=0)
    for digit, (x, y) in zip(crops.people, class_means(points, crops), strict=True):
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
        axes.text(x, y, digit, ha="center", va="center", fontsize=8, weight="bold", bbox=box)
    axes.tick_params(labelsize=8)
    axes.locator_params(nbins=4)


EXPERIMENT = Experiment(
    claim=(
        "Softmax separates classes, but leaves each of them wide; center loss added to it draws "
        "the features of a class to one point, the more so the larger its weight λ, on pictures "
        "that it learned from and on others."
    ),
    rule=(
        "Reproduced if the spread within classes over the spread between them falls at every step "
        "from softmax alone to λ = 0.001, 0.01, 0.1 and 1, on training and on test digits, each "
        "interval below 0; not reproduced if it rises at one."
    ),
    data="digits",
    quick=Scale(seeds=3, epochs=30),
    full=Scale(seeds=10, epochs=100),
    run=_run,
)
