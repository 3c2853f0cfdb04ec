"""Regularisers: training against validation, on too few pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Sgd
from mien_training.config.recipe import Recipe
from mien_training.data import Crops
from mien_training.lab import classes, comparison, figure, recipes
from mien_training.lab.comparison import PER_CENT, Between
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.fits import mean_of
from mien_training.lab.learning import Shuffled, learn
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.verdict import every, is_smaller
from mien_training.learner import Learner
from mien_training.patience import Patience

NONE, L1, L2 = "none", "L1", "L2"
DROPOUT, DROP_CONNECT, EARLY = "dropout", "DropConnect", "early stopping"
STRENGTHS = {
    NONE: (0.0,),
    L1: (1e-4, 1e-3),
    L2: (1e-3, 1e-2),
    DROPOUT: (0.2, 0.5),
    DROP_CONNECT: (0.2, 0.5),
}
"""To choose from by validation."""
REGULARISERS = (L1, L2, DROPOUT, DROP_CONNECT, EARLY)
TRAIN, VALIDATION = 6, 30
"""Pictures of each digit."""
BATCH = 20
HIDDEN = 256
LOOKS = 4
"""Epochs between two looks at the losses."""
PATIENCE = 5
"""Looks without a new best validation loss before early stopping ends a run."""
STRENGTH, LOSS, ERROR = "strength", "test loss", "test error (%)"
TRAIN_LOSS, VALIDATION_LOSS, STOPPED = "training loss", "validation loss", "epochs"
Values = npt.NDArray[np.float64]


@dataclass
class Fit:
    """What was seen of one fit, at each look."""

    epochs: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    losses: list[Values] = field(default_factory=list)
    """Cross-entropies of the test pictures, [T]."""
    wrong: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    """[T]."""

    def look(self, learner: Learner, epoch: int, few: "Few", test: Crops) -> None:
        scores = classes.scores(learner, test)
        losses = F.cross_entropy(scores, torch.from_numpy(test.labels), reduction="none")
        self.epochs.append(epoch)
        self.train.append(classes.loss(learner, few.train))
        self.validation.append(classes.loss(learner, few.validation))
        self.losses.append(losses.double().numpy())
        self.wrong.append(scores.argmax(dim=1).numpy() != test.labels)


@dataclass(frozen=True)
class Few:
    """Pictures to learn from and pictures to watch it by."""

    train: Crops
    validation: Crops


@dataclass(frozen=True)
class Kept:
    """The fits of a setting, and the look of each whose network is used."""

    strength: float
    fits: list[Fit]
    looks: list[int]


def _run(trial: Trial) -> Result:
    split = trial.digits(recipes.DIGIT_SIDE)
    pictures = [few(split.train, seed) for seed in trial.seeds]

    def fits(setting: str, strength: float) -> list[Fit]:
        return [
            _fit(_recipe(setting, strength, seed, trial.epochs), each, split.test)
            for seed, each in zip(trial.seeds, pictures, strict=True)
        ]

    kept = {
        setting: _chosen({strength: fits(setting, strength) for strength in strengths})
        for setting, strengths in STRENGTHS.items()
    }
    plain = kept[NONE].fits
    kept[EARLY] = Kept(PATIENCE, plain, [stop(fit.validation, PATIENCE) for fit in plain])
    table = Table.of(
        f"{10 * TRAIN} digits to learn from, {len(split.test.labels)} to test on",
        [row for setting, each in kept.items() for row in _rows(setting, each, trial.seeds)],
    )
    curves = tuple(
        Curve.of(setting, name, plain[0].epochs[: len(mean)], mean)
        for setting in STRENGTHS
        for name, mean in _mean_curves(kept[setting].fits).items()
    )
    comparisons = tuple(
        _compared(kept, figure_, setting) for figure_ in (LOSS, ERROR) for setting in REGULARISERS
    )
    finding = judge(table, comparisons)
    return Result((table,), comparisons, curves, finding, _draw(table, curves))


def judge(table: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Comparisons of losses with those without a regulariser, then of errors."""
    losses = comparisons[: len(REGULARISERS)]
    errors = comparisons[len(REGULARISERS) :]
    plain = table.means[NONE]
    told = "; ".join(
        f"{loss.second} {loss.second_value:.2f} ({loss.low:+.2f} to {loss.high:+.2f}, "
        f"p = {loss.p_value:.2g}) and {error.second_value:.1f} % ({error.low:+.1f} to "
        f"{error.high:+.1f}, p = {error.p_value:.2g})"
        for loss, error in zip(losses, errors, strict=True)
    )
    return Finding(
        verdict=every(map(is_smaller, losses)),
        sentence=(
            f"Without a regulariser the network learns its {10 * TRAIN} pictures by heart (a loss "
            f"of {plain[TRAIN_LOSS]:.5f}) and comes to a loss of {plain[LOSS]:.2f} and an error "
            f"of {plain[ERROR]:.1f} % on unseen ones. With one, and what chance allows for the "
            f"difference: {told}. Early stopping ends after "
            f"{table.means[EARLY][STOPPED]:.0f} epochs of {plain[STOPPED]:.0f}."
        ),
    )


def few(crops: Crops, seed: int) -> Few:
    """So many pictures of each class to learn from, and others to validate, drawn by the seed."""
    rng = np.random.default_rng(seed)
    drawn = np.stack(
        [
            rng.permutation(np.flatnonzero(crops.labels == label))[: TRAIN + VALIDATION]
            for label in range(len(crops.people))
        ]
    )
    return Few(
        *(
            Crops(crops.people, crops.images[rows], crops.labels[rows])
            for rows in (drawn[:, :TRAIN].ravel(), drawn[:, TRAIN:].ravel())
        )
    )


def stop(validation: Sequence[float], patience: int) -> int:
    """The best look of those before early stopping ends the run, which may be the last."""
    watching = Patience(patience)
    best = 0
    for look, loss in enumerate(validation):
        best = look if watching.take(loss) else best
        if watching.is_over:
            break
    return best


def _chosen(fits: Mapping[float, list[Fit]]) -> Kept:
    """Those of the strength with the least validation loss at the end, over all seeds."""
    strength = min(fits, key=lambda each: sum(fit.validation[-1] for fit in fits[each]))
    return Kept(strength, fits[strength], [len(fit.epochs) - 1 for fit in fits[strength]])


def _fit(recipe: Recipe, pictures: Few, test: Crops) -> Fit:
    source = Shuffled(pictures.train, BATCH, recipe.seed)
    fit = Fit()

    def look(learner: Learner, steps: int) -> None:
        epoch, within = divmod(steps, len(source))
        if not within and (epoch % LOOKS == 0 or epoch == recipe.epochs):
            fit.look(learner, epoch, pictures, test)

    learn(recipe, pictures.train, source, look)
    return fit


def _recipe(setting: str, strength: float, seed: int, epochs: int) -> Recipe:
    def of(name: str) -> float:
        return strength if setting == name else 0.0

    network = Cnn(
        kind="cnn",
        channels=(16, 32),
        hidden=(HIDDEN,),
        batch_normalisation=False,
        activation="relu",
        dropout=of(DROPOUT),
        drop_connect=of(DROP_CONNECT),
    )
    optimiser = Sgd(kind="sgd", learning_rate=0.02, weight_decay=of(L2), l1=of(L1))
    return recipes.digits(seed, epochs, network=network, optimiser=optimiser)


def _rows(setting: str, kept: Kept, seeds: Sequence[int]) -> list[Row]:
    return [
        Row(
            setting=setting,
            seed=seed,
            figures={
                STRENGTH: kept.strength,
                TRAIN_LOSS: fit.train[look],
                VALIDATION_LOSS: fit.validation[look],
                LOSS: float(fit.losses[look].mean()),
                ERROR: PER_CENT * float(fit.wrong[look].mean()),
                STOPPED: float(fit.epochs[look]),
            },
        )
        for seed, fit, look in zip(seeds, kept.fits, kept.looks, strict=True)
    ]


def _mean_curves(fits: Sequence[Fit]) -> dict[str, list[float]]:
    return {
        TRAIN_LOSS: mean_of([fit.train for fit in fits]),
        VALIDATION_LOSS: mean_of([fit.validation for fit in fits]),
    }


def _compared(kept: Mapping[str, Kept], name: str, setting: str) -> Comparison:
    first, second = (
        [
            fit.losses[look] if name == LOSS else PER_CENT * fit.wrong[look]
            for fit, look in zip(kept[each].fits, kept[each].looks, strict=True)
        ]
        for each in (NONE, setting)
    )
    return comparison.of_units(Between(name, NONE, setting), first, second, "test pictures")


def _draw(table: Table, curves: Sequence[Curve]) -> Figure:
    drawn, panels = figure.grid(5.4, rows=2, columns=3)
    lowest = min(min(curve.y) for curve in curves) / 2
    highest = max(max(curve.y) for curve in curves) * 2
    for axes, setting in zip(panels, STRENGTHS, strict=False):
        figure.lines(axes, [curve for curve in curves if curve.panel == setting])
        strength = table.means[setting][STRENGTH]
        title = f"{setting}, {strength:g}" if strength else setting
        axes.set_title(title, fontsize=11)
        axes.set(yscale="log", ylim=(lowest, highest), xlabel="epochs", ylabel="loss")
    panels[0].axvline(table.means[EARLY][STOPPED], color="#222222", linewidth=1, dashes=(2, 2))
    panels[0].legend(["training", "validation", "early stopping"], frameon=False, fontsize=9)
    names = [NONE, *REGULARISERS]
    figure.bars(panels[5], names, [table.seeds_of(name, LOSS) for name in names], LOSS)
    panels[5].set_title("Unseen digits", fontsize=11)
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "A network that may learn its pictures by heart gets better on them and, from some point "
        "on, worse on others. Penalties on the weights (L1, L2), leaving out values (dropout) or "
        "weights (DropConnect), and stopping as soon as the validation loss stays or rises keep "
        "it from that."
    ),
    rule=(
        "Reproduced if each of the five has a smaller loss on unseen digits than no regulariser "
        "at the end, with a 95 % interval below 0. Strengths and the end of early stopping are "
        "chosen by validation pictures, which are neither learned from nor tested on."
    ),
    data="digits",
    quick=Scale(seeds=3, epochs=120),
    full=Scale(seeds=10, epochs=400),
    run=_run,
)
