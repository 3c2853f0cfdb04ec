"""Rates with their 95 % intervals as pictures: arrays in, SVG text out.

A line is a rate that was measured, the band or bar around it its interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mien.evaluation.contract import GallerySize, Group, Interval, Likelihood, SearchPoint
from mien.matching.fusion import Rule
from mien.report.charts import BLACK, BLUE, GREY, ORANGE, figure_of, panels_of, plain, svg_of

GROUP_LIMIT = 40
"""More rows than this are a table, not a picture."""


FORMULA = "1−(1−FMR)$^N$"


@dataclass(frozen=True)
class _Line:
    values: Sequence[float]
    intervals: Sequence[Interval]
    colour: str
    label: str | None = None


def searches(points: Sequence[SearchPoint], threshold: float | None) -> str:
    """FPIR and FNIR against threshold; the dashed line is the deployed one."""
    figure, axes = figure_of(6.4, 4.0)
    at = [point.threshold for point in points]
    fpir = [point.fpir for point in points], [point.fpir_interval95 for point in points]
    fnir = [point.fnir for point in points], [point.fnir_interval95 for point in points]
    _banded(axes, at, _Line(*fpir, ORANGE, "FPIR: a stranger is taken for somebody"))
    _banded(axes, at, _Line(*fnir, BLUE, "FNIR: an enrolled person is missed"))
    if threshold is not None:
        axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1.2)
    axes.set(xlabel="threshold (similarity)", ylabel="share of searches", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(_percent)
    _legend_above(axes)
    return svg_of(figure)


def likelihood(found: Likelihood) -> str:
    """Log-likelihood ratios against similarity: of the calibration, and as measured."""
    figure, axes = figure_of(6.4, 3.6)
    edges = [*found.thresholds, 1.0]
    curves = (
        (found.here, ORANGE, "-", "measured here"),
        (found.by_calibration, GREY, "--", "by the calibration"),
    )
    for ratios, colour, dashes, label in curves:
        steps = [*ratios, ratios[-1]]
        axes.step(edges, steps, dashes, where="post", color=colour, linewidth=2, label=label)
    axes.axhline(0, color="#CCCCCC", linewidth=1, zorder=0)
    axes.set(xlabel="similarity (cosine)", ylabel="log10 likelihood ratio")
    axes.grid(which="major", color="#EEEEEE")
    _legend_above(axes)
    return svg_of(figure)


def gallery_sizes(sizes: Sequence[GallerySize], fusion: Rule) -> str:
    """FPIR against N, next to what the formula expects: enrolled pictures, or people by "mean"."""
    figure, axes = figure_of(6.4, 4.0)
    by_people = fusion == "mean"
    counts = [size.people if by_people else size.samples for size in sizes]
    fpir = [size.fpir for size in sizes]
    _banded(axes, counts, _Line(fpir, [size.fpir_interval95 for size in sizes], ORANGE, "measured"))
    axes.plot(counts, fpir, "o", color=ORANGE, markersize=5)
    predicted = [size.predicted_fpir for size in sizes]
    axes.plot(counts, predicted, ":", color=BLACK, linewidth=1.8, label=f"{FORMULA}, FMR as here")
    expected = zip(counts, [size.expected_fpir for size in sizes], strict=True)
    known = [(count, rate) for count, rate in expected if rate is not None]
    if known:
        label = "expected by the calibration"
        axes.plot(*zip(*known, strict=True), "--", color=GREY, linewidth=1.8, label=label)
    name = f"enrolled {'people' if by_people else 'pictures'} N"
    axes.set(xlabel=name, ylabel="false positive identification rate")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_percent)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend_above(axes)
    return svg_of(figure)


def cmc(shares: Sequence[float], intervals: Sequence[Interval]) -> str:
    """Cumulative match characteristic: the right person among the first so many."""
    figure, axes = figure_of(6.4, 4.0)
    ranks = list(range(1, len(shares) + 1))
    _banded(axes, ranks, _Line(shares, intervals, BLUE))
    axes.plot(ranks, shares, "o", color=BLUE, markersize=4)
    lowest = min(low for low, _ in intervals)
    axes.set(
        xlabel="rank", ylabel="right person at this rank or before", xlim=(0.5, len(ranks) + 0.5)
    )
    axes.set_ylim(max(0.0, lowest - 0.05), 1.02)
    axes.yaxis.set_major_formatter(_percent)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return svg_of(figure)


def groups(found: Sequence[Group]) -> str:
    """FMR and FNMR of each group side by side, each with its interval."""
    shown = list(found)[:GROUP_LIMIT]
    figure, panels = panels_of(9.6, 1.0 + 0.42 * len(shown), 2)
    rows = {group.group: index for index, group in enumerate(shown)}
    fmr = {group.group: (group.fmr, group.fmr_interval95) for group in shown}
    fnmr = {group.group: (group.fnmr, group.fnmr_interval95) for group in shown}
    _dots(panels[0], rows, fmr, ORANGE, "false match rate")
    _dots(panels[1], rows, fnmr, BLUE, "false non-match rate")
    panels[0].set_yticks(list(rows.values()), [plain(name) for name in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return svg_of(figure)


def _banded(axes: Axes, at: Sequence[float], line: _Line) -> None:
    lows, highs = zip(*line.intervals, strict=True)
    axes.fill_between(at, lows, highs, color=line.colour, alpha=0.18, linewidth=0)
    axes.plot(at, line.values, color=line.colour, linewidth=2, label=line.label)
    axes.grid(which="major", color="#EEEEEE")


def _dots(
    axes: Axes,
    rows: Mapping[str, int],
    rates: Mapping[str, tuple[float | None, Interval | None]],
    colour: str,
    xlabel: str,
) -> None:
    for name, (rate, interval) in rates.items():
        if rate is None:
            continue
        if interval is not None:
            axes.plot(interval, [rows[name]] * 2, color=colour, linewidth=2, alpha=0.5)
        axes.plot([rate], [rows[name]], "o", color=colour, markersize=6, clip_on=False)
    axes.set(xlabel=xlabel)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(_percent)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#EEEEEE")


def _percent(rate: float, _position: float) -> str:
    return f"{100 * rate:g}%"


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)
