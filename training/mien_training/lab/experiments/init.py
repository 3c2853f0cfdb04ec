"""What first weights do to activations and gradients, layer by layer, and to learning."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure

from mien_training.config.layers import Activation, He, Initialisation, Normal, Xavier
from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Sgd
from mien_training.config.recipe import Recipe
from mien_training.lab import figure, fits, recipes
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.fits import ERROR, STEPS, DigitFit, in_pieces
from mien_training.lab.layers import LayerSpread, spreads
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, holds, is_smaller
from mien_training.learner import Learner

LAYERS, UNITS = 20, 256
"""Fully connected ones behind one convolution, whose maps are as many values as they have units."""
LARGE, SMALL, XAVIER, HE = "too large, σ = 1", "too small, σ = 0.01", "Xavier", "He"
SCHEMES: dict[str, Initialisation] = {
    LARGE: Normal(kind="normal", deviation=1.0),
    SMALL: Normal(kind="normal", deviation=0.01),
    XAVIER: Xavier(kind="xavier", fan="in"),
    HE: He(kind="he", fan="in"),
}
FUNCTIONS: dict[str, Activation] = {"tanh": "tanh", "ReLU": "relu"}
SUITS = {"tanh": XAVIER, "ReLU": HE}
"""Which the course gives to which."""
OPTIMISER = Sgd(kind="sgd", learning_rate=0.01, momentum=0.9, nesterov=False, weight_decay=0.0)
LOOKED_AT = 256
"""Pictures whose activations are spread."""
FORWARD = "activations, first to last layer (powers of ten)"
BACKWARD = "gradients, last to first layer (powers of ten)"
FAR, NEAR = 3.0, 1.0
"""Powers of ten over all layers: from `FAR` on it exploded or vanished; up to `NEAR` it held."""
LEAST = 1e-38
"""What a spread that underflowed counts as."""


@dataclass(frozen=True)
class Setting:
    """A function with a scheme."""

    function: str
    scheme: str

    @property
    def name(self) -> str:
        return f"{self.function}, {self.scheme}"

    def recipe(self, seed: int, epochs: int) -> Recipe:
        network = Cnn(
            kind="cnn",
            channels=(4,),
            hidden=(UNITS,) * LAYERS,
            batch_normalisation=False,
            activation=FUNCTIONS[self.function],
            initialisation=SCHEMES[self.scheme],
        )
        return recipes.digits(seed, epochs, network=network, optimiser=OPTIMISER)


SETTINGS = tuple(Setting(function, scheme) for function in FUNCTIONS for scheme in SCHEMES)


@dataclass(frozen=True)
class Found:
    """Of one setting, by seed: how it began, and what was learned."""

    layers: list[list[LayerSpread]]
    """Of the fully connected layers, before the first step."""
    fits: list[DigitFit]

    def rows(self, setting: str) -> list[Row]:
        return [
            fit.row(setting, **travelled(layers), **{STEPS: float(len(fit.lesson.log))})
            for layers, fit in zip(self.layers, self.fits, strict=True)
        ]


def travelled(layers: Sequence[LayerSpread]) -> dict[str, float]:
    """How far spreads go on their way through equal layers."""
    first, last = layers[0], layers[-1]
    return {
        FORWARD: _log(last.activation) - _log(first.activation),
        BACKWARD: _log(first.gradient) - _log(last.gradient),
    }


def _log(spread: float) -> float:
    return math.log10(max(spread, LEAST))


def _run(trial: Trial) -> Result:
    data = trial.digits(recipes.DIGIT_SIDE)
    found = {setting.name: _found(setting, trial, data) for setting in SETTINGS}
    table = Table.of(
        f"{LAYERS} layers of {UNITS}",
        [row for name, each in found.items() for row in each.rows(name)],
    )
    learned = {name: each.fits for name, each in found.items()}
    comparisons = [
        fits.errors_compared(learned, f"{function}, {bad}", f"{function}, {good}")
        for function, good in SUITS.items()
        for bad in (LARGE, SMALL)
    ]
    curves = [curve for name, each in found.items() for curve in _curves(name, each)]
    finding = judge(table, comparisons)
    return Result((table,), tuple(comparisons), tuple(curves), finding, _draw(curves))


def _found(setting: Setting, trial: Trial, data: Split) -> Found:
    images = torch.from_numpy(data.train.images[:LOOKED_AT])
    labels = torch.from_numpy(data.train.labels[:LOOKED_AT])
    layers: list[list[LayerSpread]] = []

    def look(learner: Learner, steps: int) -> None:
        if steps == 0:
            layers.append(spreads(learner, images, labels)[1 : 1 + LAYERS])

    learned = fits.on_digits(
        [setting.recipe(seed, trial.epochs) for seed in trial.seeds], data, look=look
    )
    return Found(layers, learned)


def judge(table: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Comparisons of errors, from too large and too small to what suits."""
    parts = [holds(has_exploded(table.means[f"{function}, {LARGE}"])) for function in FUNCTIONS]
    parts += [holds(has_vanished(table.means[f"{function}, {SMALL}"])) for function in FUNCTIONS]
    parts += [
        holds(has_held(table.means[f"{function}, {scheme}"])) for function, scheme in SUITS.items()
    ]
    return Finding(
        verdict=every((*parts, *map(is_smaller, comparisons))),
        sentence=" ".join(_told(table.means, function) for function in FUNCTIONS),
    )


def has_exploded(figures: Mapping[str, float]) -> bool:
    return max(figures[FORWARD], figures[BACKWARD]) >= FAR


def has_vanished(figures: Mapping[str, float]) -> bool:
    return max(figures[FORWARD], figures[BACKWARD]) <= -FAR


def has_held(figures: Mapping[str, float]) -> bool:
    return max(abs(figures[FORWARD]), abs(figures[BACKWARD])) <= NEAR


def _told(means: Mapping[str, Mapping[str, float]], function: str) -> str:
    told = []
    for scheme in SCHEMES:
        figures = means[f"{function}, {scheme}"]
        told.append(
            f"{scheme}: activations change by {_power(figures[FORWARD])} and gradients by "
            f"{_power(figures[BACKWARD])}, and {figures[ERROR]:.1f} % of unseen digits are then "
            "mistaken"
        )
    return f"With {function} over {LAYERS} layers, {'; '.join(told)}."


def _power(exponent: float) -> str:
    return f"10^{round(exponent, 1) + 0.0:.1f}"  # -0.0 + 0.0 is 0.0


def _curves(name: str, found: Found) -> list[Curve]:
    """Of the first seed."""
    layers = found.layers[0]
    losses = in_pieces(found.fits[0].lesson.column("loss"))
    numbers = range(1, 1 + len(layers))
    curves = [
        Curve.of("activations", name, numbers, [max(e.activation, LEAST) for e in layers]),
        Curve.of("gradients", name, numbers, [max(e.gradient, LEAST) for e in layers]),
    ]
    if losses:
        steps = in_pieces(range(1, 1 + len(found.fits[0].lesson.log)))
        curves.append(Curve.of("loss", name, steps, losses))
    return curves


PANELS = {
    "activations": ("layer", "spread of activations"),
    "gradients": ("layer", "spread of gradients"),
    "loss": ("step", "training loss"),
}


def _draw(curves: Sequence[Curve]) -> Figure:
    drawn, panels = figure.grid(6.0, rows=2, columns=3)
    places = [(function, panel) for function in FUNCTIONS for panel in PANELS]
    for axes, (function, panel) in zip(panels, places, strict=True):
        for number, scheme in enumerate(SCHEMES):
            for curve in curves:
                if (curve.panel, curve.setting) == (panel, f"{function}, {scheme}"):
                    axes.plot(
                        curve.x,
                        curve.y,
                        figure.DASHES[number],
                        color=figure.COLOURS[number],
                        linewidth=1.8,
                        label=scheme,
                    )
        axes.grid(which="major", color="#EEEEEE")
        axes.set(xlabel=PANELS[panel][0], ylabel=PANELS[panel][1], title=function)
        if panel == "loss":
            axes.set(yscale="log", ylim=(0.1, 100))
        else:
            axes.set(yscale="log", xticks=[1, LAYERS // 2, LAYERS])
    panels[0].legend(frameon=False, fontsize=8)
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "Weights that are drawn too large let a deep network explode, too small ones let it "
        "vanish. Drawn with a variance of 1/n for tanh (Xavier) or 2/n for ReLU (He), n being the "
        "units of the layer before, they do neither, and the network does not learn slowly."
    ),
    rule=(
        "Reproduced if, over 20 equal layers, too large weights make activations or gradients grow "
        "a thousandfold or more, too small ones make both shrink to a thousandth or less, Xavier "
        "with tanh and He with ReLU keep both within a factor of ten, and these two then take "
        "fewer unseen digits for another than either, each interval below 0. What mien's "
        "diagnosis stops is measured as it stood."
    ),
    data="digits",
    quick=Scale(seeds=3, epochs=3),
    full=Scale(seeds=10, epochs=20),
    run=_run,
)
