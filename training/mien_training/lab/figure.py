"""Empty charts in the look of the reports, and a figure as PNG.

Colours are Okabe and Ito's (2008), which the colour-blind tell apart; where lines cross, dashes or
markers help too.
"""

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.report.charts import STYLE
from mien_training.lab.record import Curve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#222222", "#882255")
"""The last is Tol's wine (2021) instead of Okabe and Ito's yellow, which is too light on white and,
when darkened, the same as their orange to who sees no red."""
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DOTS_PER_INCH = 110
WIDTH = 9.0
"""Inches, of every figure."""


def grid(height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Empty charts, row by row; `height` of the whole in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def lines(axes: Axes, curves: Sequence[Curve]) -> None:
    """One line a curve, by its setting."""
    for number, curve in enumerate(curves):
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        axes.plot(curve.x, curve.y, dashes, color=colour, linewidth=1.8, label=curve.setting)
    axes.grid(which="major", color="#EEEEEE")


def bars(axes: Axes, labels: Sequence[str], values: Sequence[Sequence[float]], name: str) -> None:
    """Horizontal bars of means, the first on top, and a dot for each seed."""
    means = [sum(each) / len(each) for each in values]
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(labels))]
    axes.barh(range(len(labels)), means, color=colours, height=0.62, alpha=0.8)
    for number, each in enumerate(values):
        if len(each) > 1:
            axes.plot(each, [number] * len(each), "o", color="#222222", markersize=3)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(name)


def png_of(figure: Figure) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
