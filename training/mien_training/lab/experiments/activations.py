"""ReLU, leaky ReLU, tanh and sigmoid: what they cost, what they let through, what is learned."""

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from mien_training.config.layers import Activation, He, Initialisation, Xavier
from mien_training.config.networks import Cnn
from mien_training.lab import figure, fits, recipes
from mien_training.lab.comparison import Between, of_units
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.experiments.init import BACKWARD, LOOKED_AT, travelled
from mien_training.lab.fits import EER, ERROR, DigitFit, FaceFit, in_pieces
from mien_training.lab.layers import LayerSpread, spreads
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, holds, is_smaller
from mien_training.learner import Learner
from mien_training.networks.layers import activation

RELU, LEAKY, TANH, SIGMOID = "ReLU", "leaky ReLU", "tanh", "sigmoid"
FUNCTIONS: dict[str, Activation] = {
    RELU: "relu",
    LEAKY: "leaky_relu",
    TANH: "tanh",
    SIGMOID: "sigmoid",
}
WEIGHTS: dict[str, Initialisation] = {
    RELU: He(kind="he", fan="in"),
    LEAKY: He(kind="he", fan="in"),
    TANH: Xavier(kind="xavier", fan="in"),
    SIGMOID: Xavier(kind="xavier", fan="in"),
}
"""What suits each."""
LAYERS, UNITS = 8, 256
"""Fully connected, of the network for digits, without batch normalisation."""
BELOW, ABOVE = "slope at -2", "slope at 2"
TIME = "forward and back (ns a value)"
DIGIT_EPOCHS = 3
"""As in `depth`: epochs of faces for one of digits."""
VALUES, ROUNDS, REPEATS = 2**18, 60, 5
"""Of timing; in every round each function has its turn and keeps the best of its repeats."""
COURSE = {RELU: (0.0, 1.0), LEAKY: (0.01, 1.0)}
"""Slopes below and above 0."""

Times: TypeAlias = npt.NDArray[np.float64]
"""[rounds], nanoseconds a value."""


def _run(trial: Trial) -> Result:
    times = timed(trial.seed)
    digits, layers = _digit_fits(trial)
    faces = _face_fits(trial)
    tables = (
        Table.of("The functions", [_function(name, times[name], trial.seed) for name in FUNCTIONS]),
        Table.of("Digits, without batch normalisation", _digit_rows(digits, layers)),
        Table.of("Faces, with batch normalisation", fits.rows(faces)),
    )
    comparisons = (
        *(_times_compared(times, other) for other in (TANH, SIGMOID)),
        *(fits.errors_compared(digits, RELU, other) for other in (LEAKY, TANH, SIGMOID)),
        *(fits.eers_compared(faces, RELU, other) for other in (LEAKY, TANH, SIGMOID)),
    )
    curves = [curve for name in FUNCTIONS for curve in _curves(name, digits[name], layers[name])]
    finding = judge(*tables, comparisons)
    return Result(tables, comparisons, tuple(curves), finding, _draw(tables, curves))


def judge(
    functions: Table, digits: Table, faces: Table, comparisons: Sequence[Comparison]
) -> Finding:
    """Comparisons of time end at ReLU."""
    slopes = {
        name: (functions.means[name][BELOW], functions.means[name][ABOVE]) for name in FUNCTIONS
    }
    back = {name: digits.means[name][BACKWARD] for name in FUNCTIONS}
    parts = (
        *(holds(slopes[name] == known) for name, known in COURSE.items()),
        *(is_smaller(each) for each in comparisons if each.figure == TIME),
        *(holds(back[RELU] > back[name]) for name in (TANH, SIGMOID)),
    )
    return Finding(
        verdict=every(parts),
        sentence=(
            f"A value takes {_each(functions, TIME, 2)} ns forward and back. Slopes below 0 are "
            f"{slopes[RELU][0]:g} with ReLU and {slopes[LEAKY][0]:g} with the leaky one, above it "
            f"{slopes[RELU][1]:g} and {slopes[LEAKY][1]:g}. On their way back over {LAYERS} layers "
            f"without normalisation gradients change by {_each(digits, BACKWARD, 1)} powers of "
            f"ten, and {_each(digits, ERROR, 1)} % of unseen digits are mistaken. With batch "
            f"normalisation the EER over unseen people is {_each(faces, EER, 1)} %."
        ),
    )


def _each(table: Table, name: str, digits: int) -> str:
    return ", ".join(f"{table.means[each][name]:.{digits}f} ({each})" for each in FUNCTIONS)


def slopes(name: str) -> tuple[float, float]:
    """At -2 and 2, by the product's layer."""
    points = torch.tensor([[-2.0, 2.0]], dtype=torch.float64, requires_grad=True)
    total = activation(FUNCTIONS[name], 1)(points * 1).sum()
    below, above = torch.autograd.grad(total, points)[0][0].tolist()
    return below, above


def timed(seed: int) -> dict[str, Times]:
    """In turns, so that what else the machine does falls on all alike."""
    values = torch.randn(VALUES, generator=torch.Generator().manual_seed(seed))
    layers = {name: activation(kind, 1) for name, kind in FUNCTIONS.items()}
    times = [
        {name: min(_seconds(layer, values) for _ in range(REPEATS)) for name, layer in turns}
        for turns in [list(layers.items())] * ROUNDS
    ]
    return {name: np.array([each[name] for each in times]) * 1e9 / VALUES for name in FUNCTIONS}


def _seconds(layer: nn.Module, values: torch.Tensor) -> float:
    inputs = values.clone().requires_grad_() * 1
    slope = torch.ones_like(values)
    started = time.perf_counter()
    layer(inputs).backward(slope)
    return time.perf_counter() - started


def _function(name: str, times: Times, seed: int) -> Row:
    below, above = slopes(name)
    return Row(
        setting=name, seed=seed, figures={TIME: float(times.mean()), BELOW: below, ABOVE: above}
    )


def _times_compared(times: Mapping[str, Times], other: str) -> Comparison:
    return of_units(Between(TIME, other, RELU), times[other], times[RELU], "rounds")


def _digit_fits(
    trial: Trial,
) -> tuple[dict[str, list[DigitFit]], dict[str, list[list[LayerSpread]]]]:
    data = trial.digits(recipes.DIGIT_SIDE)
    learned: dict[str, list[DigitFit]] = {}
    layers: dict[str, list[list[LayerSpread]]] = {}
    for name in FUNCTIONS:
        learned[name], layers[name] = _digits_learned(name, trial, data)
    return learned, layers


def _digits_learned(
    name: str, trial: Trial, data: Split
) -> tuple[list[DigitFit], list[list[LayerSpread]]]:
    images = torch.from_numpy(data.train.images[:LOOKED_AT])
    labels = torch.from_numpy(data.train.labels[:LOOKED_AT])
    layers: list[list[LayerSpread]] = []

    def look(learner: Learner, steps: int) -> None:
        if steps == 0:
            layers.append(spreads(learner, images, labels)[1 : 1 + LAYERS])

    network = Cnn(
        kind="cnn",
        channels=(4,),
        hidden=(UNITS,) * LAYERS,
        batch_normalisation=False,
        activation=FUNCTIONS[name],
        initialisation=WEIGHTS[name],
    )
    epochs = max(1, trial.epochs // DIGIT_EPOCHS)
    learned = fits.on_digits(
        [recipes.digits(seed, epochs, network=network) for seed in trial.seeds], data, look=look
    )
    return learned, layers


def _face_fits(trial: Trial) -> dict[str, list[FaceFit]]:
    data = trial.faces(recipes.FACE_SIDE)
    networks = {
        name: Cnn(
            kind="cnn",
            channels=(8, 16, 32, 64),
            activation=kind,
            initialisation=WEIGHTS[name],
        )
        for name, kind in FUNCTIONS.items()
    }
    return {
        name: fits.on_faces(
            [recipes.faces(seed, trial.epochs, network=each) for seed in trial.seeds], data
        )
        for name, each in networks.items()
    }


def _digit_rows(
    digits: Mapping[str, Sequence[DigitFit]],
    layers: Mapping[str, Sequence[Sequence[LayerSpread]]],
) -> list[Row]:
    return [
        fit.row(name, **{BACKWARD: travelled(of_fit)[BACKWARD]})
        for name in FUNCTIONS
        for fit, of_fit in zip(digits[name], layers[name], strict=True)
    ]


def _curves(
    name: str, fits_of: Sequence[DigitFit], layers: Sequence[Sequence[LayerSpread]]
) -> list[Curve]:
    """Of the first seed."""
    points = np.linspace(-4, 4, 81)
    with torch.no_grad():
        heights = activation(FUNCTIONS[name], 1)(torch.from_numpy(points.copy())).tolist()
    numbers = range(1, 1 + LAYERS)
    losses = fits_of[0].lesson.column("loss")
    steps = range(1, 1 + len(losses))
    return [
        Curve.of("function", name, points.tolist(), heights),
        Curve.of("gradients", name, numbers, [each.gradient for each in layers[0]]),
        Curve.of("loss", name, in_pieces(steps), in_pieces(losses)),
    ]


PANELS = {
    "function": ("input", "output"),
    "gradients": ("layer", "spread of gradients"),
    "loss": ("step", "training loss (digits)"),
}


def _draw(tables: Sequence[Table], curves: Sequence[Curve]) -> Figure:
    drawn, panels = figure.grid(5.6, rows=2, columns=3)
    for axes, (panel, (x, y)) in zip(panels, PANELS.items(), strict=False):
        figure.lines(axes, [curve for curve in curves if curve.panel == panel])
        axes.set(xlabel=x, ylabel=y)
    panels[0].set_ylim(-1.5, 4)
    panels[0].legend(frameon=False, fontsize=8)
    panels[1].set_yscale("log")
    for axes, table, name in zip(panels[3:], tables, (TIME, ERROR, EER), strict=True):
        _bars(axes, table, name)
    panels[3].set_title("cost", fontsize=11)
    panels[4].set_title("digits, not normalised", fontsize=11)
    panels[5].set_title("faces, normalised", fontsize=11)
    return drawn


def _bars(axes: Axes, table: Table, name: str) -> None:
    figure.bars(axes, list(FUNCTIONS), [table.seeds_of(each, name) for each in FUNCTIONS], name)


EXPERIMENT = Experiment(
    claim=(
        "ReLU keeps what is positive and drops the rest; it is easy to compute, and so is the way "
        "of gradients back through it. A leaky one lets a hundredth of the negative through."
    ),
    rule=(
        "Reproduced if the slopes are 0 and 1, for the leaky one 0.01 and 1; if a value takes less "
        "time forward and back through ReLU than through tanh and through sigmoid, each interval "
        "below 0; and if gradients keep more of their size over eight layers of it than over "
        "either. Errors are measured, but the course says nothing of them; digits have a third of "
        "the epochs of faces."
    ),
    data="digits and faces",
    quick=Scale(seeds=3, epochs=15),
    full=Scale(seeds=10, epochs=60),
    run=_run,
)
