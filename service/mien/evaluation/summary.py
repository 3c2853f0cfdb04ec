"""An evaluation in a terminal."""

import math
from collections.abc import Iterator, Sequence

from mien.evaluation.contract import (
    Acquisition,
    Against,
    Deployed,
    EvaluatedBundle,
    FolderOfRole,
    Identification,
    Interval,
    Lfw,
    Report,
)

Row = tuple[str, str, str]
WIDTH = 44


def summary(report: Report) -> str:
    """A short table: what was measured, its value, its 95 % interval."""
    lines = [f"{name:<{WIDTH}}{value:>10}  {note}".rstrip() for name, value, note in _rows(report)]
    return "\n".join(lines)


def rate(share: float | None) -> str:
    """A rate in [0, 1] for people: percent, two decimals, and below 0.1 % two digits."""
    if share is None:
        return "–"
    percent = 100 * share
    if percent in {0, 100}:
        return f"{percent:.0f} %"
    decimals = 2 if percent >= 0.1 else 1 - math.floor(math.log10(percent))
    return f"{percent:.{decimals}f} %"


def target(share: float) -> str:
    """A rate that was asked for, as it was asked for."""
    return f"{100 * share:g} %"


def span(interval: Interval | None) -> str:
    """An interval for people; empty where there is none."""
    return "" if interval is None else f"{rate(interval[0])} to {rate(interval[1])}"


def points(difference: float) -> str:
    """A difference of rates for people: percentage points with a sign, 0 without one."""
    rounded = round(100 * difference, 2)
    return f"{rounded:+.2f}" if rounded else "0.00"


def measured_on(report: Report) -> str:
    """The folders' names, in a title."""
    return ", ".join(folder.name for folder in report.folders or ()) or report.data.name


def other_name(found: Against) -> str:
    """What stands beside the bundle."""
    if found.middle is None:
        return found.bundle.name
    return f"{found.bundle.name}, middle {found.middle:.0%}".replace("%", " %")


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _rows(report: Report) -> Iterator[Row]:
    found = report.verification
    yield f"{report.bundle.name} on {measured_on(report)}", "", "95 % interval"
    yield from _cost(report.bundle)
    yield "people", f"{report.data.people:,}", ""
    yield "genuine comparisons", f"{found.genuine_comparisons:,}", ""
    yield "impostor comparisons", f"{found.impostor_comparisons:,}", ""
    if report.folders is None:
        yield from _acquired(report.acquisition)
    else:
        yield from _folders(report.folders)
    yield "equal error rate", rate(found.eer), span(found.eer_interval95)
    low, high = found.auc_interval95
    yield "area under the ROC curve (AUC)", f"{found.auc:.4f}", f"{low:.4f} to {high:.4f}"
    for point in found.operating_points:
        name = f"FNMR at FMR {target(point.target_fmr)}"
        if point.supported:
            yield name, rate(point.fnmr), span(point.fnmr_interval95)
        else:
            needed = f"needs {point.people_pairs_needed:,} pairs of people"
            yield name, "–", f"{needed}, {found.people_pairs:,} are there"
            break
    if report.deployed is not None:
        yield from _asked(report.deployed)
        yield (
            f"FMR at threshold {report.deployed.threshold:.4f}",
            *_with(report.deployed.fmr, report.deployed.fmr_interval95),
        )
        yield (
            f"FNMR at threshold {report.deployed.threshold:.4f}",
            *_with(report.deployed.fnmr, report.deployed.fnmr_interval95),
        )
    yield from _lfw(report.lfw)
    yield from _identified(report.identification)
    yield from _grouped(report)
    yield from _against(report.against)


def _cost(bundle: EvaluatedBundle) -> Iterator[Row]:
    """What int8 was measured to cost when the bundle was sealed."""
    for cost in bundle.int8_cost or ():
        name = "EER" if cost.target_fmr is None else f"FNMR at FMR {100 * cost.target_fmr:.2g} %"
        change = f"points, from {rate(cost.float32)} to {rate(cost.int8)} when it was sealed"
        yield f"int8 cost, {name}", points(cost.int8 - cost.float32), change


def _asked(found: Deployed) -> Iterator[Row]:
    """What the calibration was asked for and promises, beside what is measured."""
    if found.target_fmr is not None:
        yield "FMR asked for", target(found.target_fmr), ""
    if found.expected_fmr is not None:
        bound = f"at most {rate(found.expected_fmr_upper95)}"
        yield "  FMR by the calibration", rate(found.expected_fmr), bound


def _with(share: float | None, interval: Interval | None) -> tuple[str, str]:
    return rate(share), span(interval)


def _acquired(found: Acquisition | None) -> Iterator[Row]:
    if found is None:
        yield "failure to acquire, failure to enrol", "–", "not known of these vectors"
        return
    pictures = f"{found.failures_to_acquire:,} of {found.pictures:,} pictures"
    people = f"{found.failures_to_enrol:,} of {found.people:,} people"
    yield "failure to acquire (FTA)", rate(found.failure_to_acquire_rate), pictures
    yield "failure to enrol (FTE)", rate(found.failure_to_enrol_rate), people
    if found.failures_to_acquire:
        yield "  rates below are over the rest", "", ""


def _folders(folders: Sequence[FolderOfRole]) -> Iterator[Row]:
    for folder in folders:
        found = folder.acquisition
        reasons = "".join(f", {reason} {count:,}" for reason, count in found.reasons.items())
        pictures = f"{found.failures_to_acquire:,} of {found.pictures:,} pictures{reasons}"
        name = f"failure to acquire (FTA), {folder.role}"
        yield name, rate(found.failure_to_acquire_rate), pictures
        if folder.role == "gallery":
            people = f"{found.failures_to_enrol:,} of {found.people:,} people"
            yield "failure to enrol (FTE)", rate(found.failure_to_enrol_rate), people
    yield "  rates below are over the rest", "", ""


def _lfw(found: Lfw | None) -> Iterator[Row]:
    if found is None:
        return
    if found.accuracy is None:
        yield "accuracy on the pairs", "–", "the bundle is not calibrated"
    elif found.standard_error is None:
        yield (
            "accuracy at the calibrated threshold",
            *_with(found.accuracy, found.accuracy_interval95),
        )
    else:
        error = f"± {rate(found.standard_error)} standard error of {found.folds} folds"
        yield "accuracy on the pairs", rate(found.accuracy), error


def _identified(found: Identification | None) -> Iterator[Row]:
    if found is None:
        return
    yield "right person first (rank 1)", *_with(found.cmc[0], found.cmc_interval95[0])
    for size in found.by_gallery_size[-1:]:
        yield (
            f"FPIR of a gallery of {size.samples:,} pictures",
            *_with(size.fpir, size.fpir_interval95),
        )
        yield "  expected by the calibration", rate(size.expected_fpir), ""
        yield (
            f"FNIR of a gallery of {size.samples:,} pictures",
            *_with(size.fnir, size.fnir_interval95),
        )


def _grouped(report: Report) -> Iterator[Row]:
    if report.groups is None:
        return
    for group in report.groups.groups:
        yield f"{group.group}: FMR", *_with(group.fmr, group.fmr_interval95)
        yield f"{group.group}: FNMR", *_with(group.fnmr, group.fnmr_interval95)
    ratios = (("FMR", report.groups.fmr_ratio), ("FNMR", report.groups.fnmr_ratio))
    for name, ratio in ratios:
        if ratio is not None and ratio.value is not None:
            high = "…" if ratio.high95 is None else f"{ratio.high95:.2f}"
            value, interval = f"{ratio.value:.2f}", f"{ratio.low95:.2f} to {high}"
            groups = f"({ratio.worst} by {ratio.best})"
            yield f"worst {name} by best", value, f"{interval} {groups}"


def _against(found: Against | None) -> Iterator[Row]:
    if found is None:
        return
    yield f"against {other_name(found)}", "", ""
    for row in found.differences:
        tested = "points; too few people for an interval"
        if row.difference_interval95 is not None and row.p_value is not None:
            low, high = map(points, row.difference_interval95)
            tested = f"{low} to {high} points, p {_p(row.p_value)}"
        yield f"  {row.measure}, difference", points(row.difference), tested
