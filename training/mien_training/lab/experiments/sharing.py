"""What it saves to use the same weights at every place of a picture."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import nn

from mien_training import networks
from mien_training.config.losses import LinearHead, Losses, Softmax
from mien_training.config.recipe import Crop, Recipe
from mien_training.lab import figure
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.record import Curve, Finding, Row, Table
from mien_training.lab.verdict import every, holds

CLAIMED = 10_000
"""Weights of a hundred filters of 10×10, in the course."""
LARGE, SMALL = (1000, 100, 10), (6, 1, 3)
"""The course's two pictures: side, filters and the filters' side; one channel."""
SIDES = (16, 32, 64, 112, 224)
"""Pixels, of crops whose networks are counted."""
FULL, LOCAL, SHARED = "fully connected", "local, each place its own", "convolution"
KINDS = (FULL, LOCAL, SHARED)
FORMULA, COUNTED, TIMES = "weights by formula", "weights counted", "times the convolution"
CONVOLUTIONS, EMBEDDING = "weights of convolutions", "weights of the embedding's layer"


def _run(trial: Trial) -> Result:
    large = Table.of("A picture of 1000×1000, 100 filters of 10×10", _large(trial.seed))
    small = Table.of("A picture of 6×6, one filter of 3×3", _small(trial.seed))
    ours = Table.of("The network cnn, by the crop's side", _ours(trial.seed))
    curves = [
        Curve.of("network", name, SIDES, [ours.means[f"{side} px"][name] for side in SIDES])
        for name in (CONVOLUTIONS, EMBEDDING)
    ]
    finding = judge(large, small, ours)
    return Result((large, small, ours), (), tuple(curves), finding, _draw(large, small, curves))


def judge(large: Table, small: Table, ours: Table) -> Finding:
    counts = [ours.means[f"{side} px"] for side in SIDES]
    agrees = [
        figures[FORMULA] == figures[COUNTED]
        for table in (large, small)
        for figures in table.means.values()
        if COUNTED in figures
    ]
    shared, full = large.means[SHARED][COUNTED], large.means[FULL]
    few = [small.means[kind][COUNTED] for kind in KINDS]
    verdict = every(
        holds(claim)
        for claim in (
            *agrees,
            shared == CLAIMED,
            few[0] > few[1] > few[2],
            len({each[CONVOLUTIONS] for each in counts}) == 1,
        )
    )
    return Finding(
        verdict=verdict,
        sentence=(
            f"A convolution of 100 filters of 10×10 has {shared:,.0f} weights on a picture of "
            f"1000×1000, where a layer with a unit for every pixel that sees every pixel has "
            f"{full[COUNTED]:,.0f}, {full[TIMES]:,.0f} times as many. On 6×6 pixels one filter of "
            f"3×3 has {few[2]:.0f}; the same without sharing {few[1]:.0f}, fully connected "
            f"{few[0]:.0f}. Our network cnn has {counts[0][CONVOLUTIONS]:,.0f} weights in its "
            f"convolutions at any size of crop, while the layer behind them grows from "
            f"{counts[0][EMBEDDING]:,.0f} at {SIDES[0]} px to {counts[-1][EMBEDDING]:,.0f} at "
            f"{SIDES[-1]} px."
        ),
    )


def by_formula(side: int, filters: int, filter_side: int, units: int) -> dict[str, int]:
    """Weights without biases of a layer of so many units on a picture of one channel."""
    window = filter_side**2
    return {FULL: units * side**2, LOCAL: units * window, SHARED: filters * window}


def _large(seed: int) -> list[Row]:
    """A unit for every pixel; layers on torch's device "meta" have shapes, but no memory."""
    side, filters, filter_side = LARGE
    with torch.device("meta"):
        counted = {
            FULL: _weights(nn.Linear(side**2, side**2)),
            SHARED: _weights(nn.Conv2d(1, filters, filter_side)),
        }
    return _rows(by_formula(*LARGE, units=side**2), counted, seed)


def _small(seed: int) -> list[Row]:
    """A unit for every place of the filter. As a matrix a convolution is a sparse, tied layer."""
    side, filters, filter_side = SMALL
    convolution = nn.Conv2d(1, filters, filter_side, bias=False)
    pixels = torch.eye(side**2).reshape(side**2, 1, side, side)
    with torch.no_grad():
        matrix = convolution(pixels).flatten(1)  # [pixels, units]
    values = matrix[matrix != 0]
    counted = {FULL: matrix.numel(), LOCAL: values.numel(), SHARED: values.unique().numel()}
    return _rows(by_formula(*SMALL, units=matrix.shape[1]), counted, seed)


def _rows(formula: dict[str, int], counted: dict[str, int], seed: int) -> list[Row]:
    rows = []
    for kind, weights in formula.items():
        figures = {FORMULA: float(weights), TIMES: weights / formula[SHARED]}
        if kind in counted:
            figures[COUNTED] = float(counted[kind])
        rows.append(Row(setting=kind, seed=seed, figures=figures))
    return rows


def _ours(seed: int) -> list[Row]:
    losses = Losses(softmax=Softmax(head=LinearHead(kind="linear")))
    rows = []
    for side in SIDES:
        recipe = Recipe(crop=Crop(height=side, width=side), losses=losses)
        with torch.device("meta"):
            network = networks.build(recipe)
        figures = {
            CONVOLUTIONS: float(_weights(network, nn.Conv2d)),
            EMBEDDING: float(_weights(network, nn.Linear)),
        }
        rows.append(Row(setting=f"{side} px", seed=seed, figures=figures))
    return rows


def _weights(module: nn.Module, kind: type[nn.Module] = nn.Module) -> int:
    """Of layers of a kind, without biases and slopes."""
    layers = [layer for layer in module.modules() if isinstance(layer, kind)]
    return sum(
        weight.numel()
        for layer in layers
        for weight in layer.parameters(recurse=False)
        if weight.ndim > 1
    )


def _draw(large: Table, small: Table, curves: Sequence[Curve]) -> Figure:
    drawn, (left, middle, right) = figure.grid(3.4, columns=3)
    for axes, table in ((left, large), (middle, small)):
        counts = [table.means[kind][FORMULA] for kind in KINDS]
        bars = axes.bar(range(len(KINDS)), counts, color=figure.COLOURS[: len(KINDS)], width=0.6)
        axes.bar_label(
            bars, [f"{count:,.0f}" if count < 1e6 else f"{count:.0e}" for count in counts]
        )
        axes.set_xticks(range(len(KINDS)), ["fully\nconnected", "local", "convo-\nlution"])
        axes.set(yscale="log", ylim=(1, 10 * max(counts)))
        axes.set(ylabel="weights")
    left.set_title("1000×1000 pixels,\n100 filters of 10×10", fontsize=11)
    middle.set_title("6×6 pixels,\none filter of 3×3", fontsize=11)
    figure.lines(right, curves)
    right.set(xlabel="side of the crop (pixels)", ylabel="weights", yscale="log")
    right.set_title("the network cnn\nby size of crop", fontsize=11)
    right.legend(frameon=False, fontsize=9, labels=["convolutions", "embedding's layer"])
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "A filter that is used at every place of a picture needs few weights, however large the "
        "picture: a hundred filters of 10×10 on 1000×1000 pixels need ten thousand. Looking at a "
        "small region saves some, sharing it over all places saves most."
    ),
    rule=(
        "Reproduced if what is counted is what the formulas say, is the course's ten thousand, "
        "falls from each kind of layer to the next, and does not grow with the picture."
    ),
    data="none",
    quick=Scale(seeds=1, epochs=0),
    full=Scale(seeds=1, epochs=0),
    run=_run,
)
