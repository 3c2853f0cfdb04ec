"""One picture, a mini-batch, or the whole set for each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Sgd
from mien_training.config.recipe import Recipe
from mien_training.data import Crops
from mien_training.lab import figure, fits, recipes
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.fits import ERROR, DigitFit
from mien_training.lab.learning import Shuffled
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, holds, is_larger
from mien_training.learner import Learner
from mien_training.losses.term import Term

COURSE = (2000, 500, 4)
"""Examples, batch, and steps that make an epoch."""
ONE, MINI, WHOLE = "1 picture", "32", "whole set"
SIZES: dict[str, int | None] = {ONE: 1, "8": 8, MINI: 32, "128": 128, WHOLE: None}
LOW, HIGH = 0.01, 0.1
"""Learning rates."""
NETWORK = Cnn(kind="cnn", channels=(8, 16), batch_normalisation=False, activation="relu")
"""Without batch normalisation, which knows no batch of one."""
DRAWS = 30
"""Batches whose gradients are compared with that of the whole set."""
STEPS, NOISE = "steps an epoch", "noise of the gradient / its length"
MEMORY, SECONDS = "kept for the gradient (MB)", "seconds an epoch"
MEGABYTE = 1e6


@dataclass
class Looks:
    """What is measured of a fresh network before it learns, by seed."""

    noise: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def _run(trial: Trial) -> Result:
    data = trial.digits(recipes.DIGIT_SIDE)
    rows: list[Row] = []
    learned: dict[str, list[DigitFit]] = {}
    for rate in (LOW, HIGH):
        for name, size in SIZES.items():
            setting = at(name, rate)
            learned[setting], looks = _learned(size, rate, trial, data)
            rows += _rows(setting, learned[setting], looks)
    table = Table.of("Digits, the same pictures seen as often", rows)
    comparisons = tuple(
        fits.errors_compared(learned, at(MINI, rate), at(other, rate))
        for rate in (LOW, HIGH)
        for other in (WHOLE, ONE)
    )
    counted = Table.of("The course's epoch", [_course(trial.seed)])
    curves = [_errors(table, rate) for rate in (LOW, HIGH)]
    finding = judge(counted, table, comparisons, len(data.train.labels))
    return Result((counted, table), comparisons, tuple(curves), finding, _draw(table, curves))


def at(name: str, rate: float) -> str:
    return f"{name}, η = {rate:g}"


def judge(
    counted: Table, table: Table, comparisons: Sequence[Comparison], pictures: int
) -> Finding:
    """Comparisons are from the mini-batch to others; `pictures` make an epoch."""
    means = table.means
    low = [means[at(name, LOW)] for name in SIZES]
    epochs = [ceil(pictures / (size or pictures)) for size in SIZES.values()]
    whole = [each for each in comparisons if each.second.startswith(WHOLE)]
    (noisy,) = [each for each in comparisons if each.second == at(ONE, HIGH)]
    iterations = counted.means[_COURSE_SETTING][STEPS]
    parts = (
        holds(iterations == COURSE[2]),
        holds([each[STEPS] for each in low] == epochs),
        holds(_falls([each[NOISE] for each in low])),
        holds(_falls([-each[MEMORY] for each in low])),
        *map(is_larger, whole),
        is_larger(noisy),
    )
    errors = "; ".join(
        f"at η = {rate:g} "
        + ", ".join(f"{means[at(name, rate)][ERROR]:.1f} % ({name})" for name in SIZES)
        for rate in (LOW, HIGH)
    )
    one, mini, all_ = low[0], means[at(MINI, LOW)], low[-1]
    return Finding(
        verdict=every(parts),
        sentence=(
            f"{COURSE[0]} examples in batches of {COURSE[1]} make {iterations:.0f} iterations. The "
            f"gradient of one picture differs from that of the whole set by {one[NOISE]:.1f} times "
            f"its length, that of {MINI} by {mini[NOISE]:.2f}; {one[MEMORY]:.2f} MB are kept for "
            f"it, {mini[MEMORY]:.1f} MB for {MINI} and {all_[MEMORY]:.0f} MB for the whole set. "
            f"After the same pictures, of unseen digits are mistaken {errors}. An epoch of single "
            f"pictures took {one[SECONDS]:.2f} s, one of {MINI} {mini[SECONDS]:.2f} s."
        ),
    )


def _falls(values: Sequence[float]) -> bool:
    return all(after < before for before, after in pairwise(values))


_COURSE_SETTING = f"{COURSE[0]} examples, batches of {COURSE[1]}"


def _course(seed: int) -> Row:
    """Counted from batches that are made."""
    examples, size, _ = COURSE
    crops = Crops(
        ("a",), np.zeros((examples, 1, 1, 3), np.uint8), np.zeros(examples, dtype=np.int64)
    )
    steps = sum(1 for _ in Shuffled(crops, size, seed).epoch(1))
    return Row(setting=_COURSE_SETTING, seed=seed, figures={STEPS: float(steps)})


def _learned(
    size: int | None, rate: float, trial: Trial, data: Split
) -> tuple[list[DigitFit], Looks]:
    looks = Looks()

    def look(learner: Learner, steps: int) -> None:
        if steps == 0 and rate == LOW:
            looks.noise.append(noise(learner, data.train, size))
            looks.memory.append(kept(learner, data.train, size) / MEGABYTE)

    learned = fits.on_digits(
        [_recipe(seed, trial.epochs, rate) for seed in trial.seeds], data, size, look
    )
    return learned, looks


def _recipe(seed: int, epochs: int, rate: float) -> Recipe:
    plain = Sgd(kind="sgd", learning_rate=rate, momentum=0.0, nesterov=False, weight_decay=0.0)
    return recipes.digits(seed, epochs, network=NETWORK, optimiser=plain)


def _rows(setting: str, learned: Sequence[DigitFit], looks: Looks) -> list[Row]:
    rows = []
    for number, fit in enumerate(learned):
        epochs = fit.lesson.learner.recipe.epochs
        figures: dict[str, float] = {}
        if not fit.lesson.stopped:
            figures |= {
                STEPS: len(fit.lesson.log) / epochs,
                SECONDS: fit.lesson.seconds[-1] / epochs,
            }
        if looks.noise:
            figures |= {NOISE: looks.noise[number], MEMORY: looks.memory[number]}
        rows.append(fit.row(setting, **figures))
    return rows


def noise(learner: Learner, crops: Crops, size: int | None) -> float:
    """Root mean square of |g - G| over batches, over |G|: g of a batch, G of all pictures."""
    everything = gradient(learner, crops, np.arange(len(crops.labels)))
    if size is None:
        return 0.0
    rng = np.random.default_rng(learner.recipe.seed)
    squares = [
        (gradient(learner, crops, rng.choice(len(crops.labels), size, replace=False)) - everything)
        .square()
        .sum()
        .item()
        for _ in range(DRAWS)
    ]
    return float(np.sqrt(np.mean(squares)) / everything.norm().item())


def gradient(learner: Learner, crops: Crops, rows: "np.typing.NDArray[np.int64]") -> Tensor:
    """Of the mean loss over some pictures, all weights in one vector; nothing is learned."""
    learner.optimiser.zero_grad()
    _loss(learner, crops, rows).backward()
    slopes = [
        weight.grad.flatten()
        for module in (learner.network, learner.losses)
        for weight in module.parameters()
        if weight.grad is not None
    ]
    learner.optimiser.zero_grad()
    return torch.cat(slopes)


def kept(learner: Learner, crops: Crops, size: int | None) -> int:
    """Bytes that a batch's forward pass keeps for the gradient, without the weights."""
    weights = {weight.untyped_storage().data_ptr() for weight in learner.network.parameters()}
    weights |= {weight.untyped_storage().data_ptr() for weight in learner.losses.parameters()}
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    def give(tensor: Any) -> Any:
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, give):
        _loss(learner, crops, np.arange(size or len(crops.labels)))
    return sum(sizes.values())


def _loss(learner: Learner, crops: Crops, rows: "np.typing.NDArray[np.int64]") -> Tensor:
    raw = learner.network.features(torch.from_numpy(crops.images[rows]))
    term: Term = learner.losses(raw, torch.from_numpy(crops.labels[rows]))
    return term.loss


def _errors(table: Table, rate: float) -> Curve:
    errors = [table.means[at(name, rate)][ERROR] for name in SIZES]
    return Curve.of("error by size of batch", f"η = {rate:g}", range(len(SIZES)), errors)


def _draw(table: Table, curves: Sequence[Curve]) -> Figure:
    drawn, (errors, spread, memory) = figure.grid(3.6, columns=3)
    figure.lines(errors, curves)
    for number, rate in enumerate((LOW, HIGH)):
        for place, name in enumerate(SIZES):
            values = table.seeds_of(at(name, rate), ERROR)
            mark, colour = figure.MARKERS[number], figure.COLOURS[number]
            errors.plot([place] * len(values), values, mark, color=colour, markersize=4)
    errors.set(ylabel=ERROR, ylim=(0, 100))
    errors.legend(frameon=False, fontsize=9)
    _bars(spread, table.means, NOISE)
    _bars(memory, table.means, MEMORY)
    memory.set_yscale("log")
    for axes in (errors, spread, memory):
        axes.set_xticks(range(len(SIZES)), ["1", "8", "32", "128", "all"])
        axes.set_xlabel("pictures in a batch")
    return drawn


def _bars(axes: Any, means: Mapping[str, Mapping[str, float]], name: str) -> None:
    values = [means[at(size, LOW)][name] for size in SIZES]
    bars = axes.bar(range(len(SIZES)), values, color=figure.COLOURS[0], width=0.6)
    axes.bar_label(bars, [f"{value:.2g}" for value in values], fontsize=8)
    axes.set_ylabel(name)


EXPERIMENT = Experiment(
    claim=(
        "An epoch has as many iterations as there are batches: 2000 examples in batches of 500 "
        "make 4. A step on the whole set costs too much computation and one on a single picture is "
        "too noisy, so it is made on a mini-batch, as large as model and memory allow."
    ),
    rule=(
        "Reproduced if the iterations counted are those said, the noise of the gradient falls and "
        "the memory kept for it grows with every larger batch, and after the same pictures more "
        "unseen digits are mistaken with the whole set than with batches of 32 at both learning "
        "rates, and with single pictures at the higher one, each interval above 0."
    ),
    data="digits",
    quick=Scale(seeds=3, epochs=3),
    full=Scale(seeds=10, epochs=20),
    run=_run,
)
