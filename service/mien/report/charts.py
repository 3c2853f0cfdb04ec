"""Error rates as pictures: arrays in, SVG text out.

Colours are Okabe and Ito's (2008), which the colour-blind tell apart.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mien.matching.metrics import Comparisons

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
    figure, axes = _figure(6.4, 3.6)
    lowest = min(comparisons.genuine[0], comparisons.impostor[0])
    bins = np.linspace(float(lowest), 1, 60).tolist()
    for values, colour, label in (
        (comparisons.impostor, ORANGE, "different people"),
        (comparisons.genuine, BLUE, "same person"),
    ):
        axes.hist(values, bins, density=True, color=colour, alpha=0.65, label=label)
    axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1.2)
    axes.text(threshold, axes.get_ylim()[1], f" threshold {threshold:.2f}", va="top", color=BLACK)
    axes.set(xlabel="similarity (cosine)", ylabel="density", yticks=[])
    axes.legend(loc="upper left", frameon=False)
    return _svg(figure)


def det(curves: Mapping[str, Comparisons]) -> str:
    """FNMR against FMR, both on logarithmic axes; the diagonal is where they are equal."""
    figure, axes = _figure(6.4, 4.6)
    smallest = 1.0
    for (label, comparisons), colour in zip(curves.items(), SERIES, strict=False):
        fmr, fnmr = comparisons.det()
        shown = (fmr > 0) & (fnmr > 0)
        axes.plot(
            fmr[shown],
            fnmr[shown],
            color=colour,
            linewidth=2,
            drawstyle="steps-post",
            label=f"{label} (EER {comparisons.eer():.1%})",
        )
        smallest = min(smallest, float(fmr[fmr > 0].min()), float(fnmr[fnmr > 0].min()))
    axes.plot([smallest, 1], [smallest, 1], color="#CCCCCC", linewidth=1, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1))
    axes.set(xlabel="false match rate", ylabel="false non-match rate")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:g}%")
    axes.grid(which="major", color="#EEEEEE")
    axes.legend(loc="lower left", frameon=False)
    return _svg(figure)


def bars(labels: Sequence[str], shares: Sequence[float], xlabel: str) -> str:
    """Horizontal bars of rates in [0, 1], the first on top."""
    figure, axes = _figure(6.4, 0.6 + 0.5 * len(labels))
    colours = [SERIES[i % len(SERIES)] for i in range(len(labels))]
    drawn = axes.barh(labels, shares, color=colours, height=0.62)
    axes.bar_label(drawn, [f" {share:.1%}" for share in shares], color=BLACK)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel=xlabel, xlim=(0, max(0.01, *shares) * 1.18))
    axes.tick_params(axis="y", length=0)
    return _svg(figure)


def seconds(stages: Mapping[str, float]) -> str:
    """Horizontal bars of durations in seconds, in the order given."""
    figure, axes = _figure(6.4, 0.6 + 0.42 * len(stages))
    drawn = axes.barh(list(stages), list(stages.values()), color=BLUE, height=0.6)
    axes.bar_label(drawn, [f" {value:.1f} s" for value in stages.values()], color=BLACK)
    axes.invert_yaxis()
    axes.set(xlabel="seconds", xlim=(0, max(stages.values()) * 1.15))
    axes.tick_params(axis="y", length=0)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()[file.getvalue().index("<svg") :]
