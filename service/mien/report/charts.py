"""Error rates as pictures: arrays in, SVG text out.

Colours are Okabe and Ito's (2008), which the colour-blind tell apart.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mien.matching.metrics import Comparisons, Rates

BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#7F7F7F", "#222222"
SERIES = (BLUE, GREEN, ORANGE, GREY)
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": BLACK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "svg.fonttype": "path",
    "svg.hashsalt": "mien",
}


def histogram(comparisons: Comparisons, threshold: float) -> str:
    """Densities of genuine and impostor similarities, and the threshold between them."""
    lowest = min(comparisons.genuine[0], comparisons.impostor[0])
    edges = np.linspace(float(lowest), 1, 60)
    return densities(
        edges,
        np.histogram(comparisons.genuine, edges, density=True)[0],
        np.histogram(comparisons.impostor, edges, density=True)[0],
        threshold,
    )


def densities(edges: Rates, genuine: Rates, impostor: Rates, threshold: float | None) -> str:
    """Densities [B] between B+1 edges of similarity, and the threshold between them if any."""
    figure, axes = figure_of(6.4, 3.6)
    for values, colour, label in (
        (impostor, ORANGE, "different people"),
        (genuine, BLUE, "same person"),
    ):
        axes.stairs(values, edges, fill=True, color=colour, alpha=0.65, label=label)
    axes.set_ylim(0, 1.12 * float(max(genuine.max(), impostor.max())))
    if threshold is not None:
        axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1.2)
        name = f" threshold {threshold:.2f}"
        axes.text(threshold, axes.get_ylim()[1], name, va="top", color=BLACK)
    axes.set(xlabel="similarity (cosine)", ylabel="density", yticks=[])
    axes.legend(loc="upper left", frameon=False)
    return svg_of(figure)


def det(curves: Mapping[str, Comparisons]) -> str:
    """FNMR against FMR, both on logarithmic axes; the diagonal is where they are equal."""
    return det_curves(
        {
            f"{label} (EER {comparisons.eer():.1%})": comparisons.det()
            for label, comparisons in curves.items()
        }
    )


def det_curves(curves: Mapping[str, tuple[Rates, Rates]]) -> str:
    """FNMR against FMR, as `det`, of points of each curve that are in order of threshold."""
    figure, axes = figure_of(6.4, 4.6)
    smallest = 0.1
    drawn = zip(curves.items(), SERIES, cycle(("-", "--")), strict=False)
    for (label, (fmr, fnmr)), colour, dashes in drawn:
        shown = (fmr > 0) & (fnmr > 0)
        axes.plot(
            fmr[shown],
            fnmr[shown],
            color=colour,
            linestyle=dashes,
            linewidth=2,
            drawstyle="steps-post",
            label=plain(label),
        )
        smallest = min(smallest, *(float(rates[rates > 0].min()) for rates in (fmr, fnmr)))
    axes.plot([smallest, 1], [smallest, 1], color="#CCCCCC", linewidth=1, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1))
    axes.set(xlabel="false match rate", ylabel="false non-match rate")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:g}%")
    axes.grid(which="major", color="#EEEEEE")
    axes.legend(loc="lower left", frameon=False)
    return svg_of(figure)


def bars(labels: Sequence[str], shares: Sequence[float], xlabel: str) -> str:
    """Horizontal bars of rates in [0, 1], the first on top."""
    figure, axes = figure_of(6.4, 0.6 + 0.5 * len(labels))
    colours = [SERIES[i % len(SERIES)] for i in range(len(labels))]
    drawn = axes.barh(labels, shares, color=colours, height=0.62)
    axes.bar_label(drawn, [f" {share:.1%}" for share in shares], color=BLACK)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel=xlabel, xlim=(0, max(0.01, *shares) * 1.18))
    axes.tick_params(axis="y", length=0)
    return svg_of(figure)


def seconds(stages: Mapping[str, float]) -> str:
    """Horizontal bars of durations in seconds, in the order given."""
    figure, axes = figure_of(6.4, 0.6 + 0.42 * len(stages))
    drawn = axes.barh(list(stages), list(stages.values()), color=BLUE, height=0.6)
    axes.bar_label(drawn, [f" {value:.1f} s" for value in stages.values()], color=BLACK)
    axes.invert_yaxis()
    axes.set(xlabel="seconds", xlim=(0, max(stages.values()) * 1.15))
    axes.tick_params(axis="y", length=0)
    return svg_of(figure)


def plain(text: str) -> str:
    """A name from outside, in which a dollar sign is no beginning of a formula."""
    return text.replace("$", r"\$")


def figure_of(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty chart, in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def panels_of(width: float, height: float, count: int) -> tuple[Figure, list[Axes]]:
    """Empty charts side by side on one vertical axis, in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(1, count, sharey=True))


def svg_of(figure: Figure) -> str:
    """The chart as text, the same each time."""
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()[file.getvalue().index("<svg") :]
