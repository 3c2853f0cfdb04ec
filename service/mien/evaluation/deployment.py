"""The one threshold that would be served, and what the calibration promises of it."""

from dataclasses import dataclass

from mien.errors import UnsupportedOperatingPoint
from mien.matching.calibration import Calibration
from mien.matching.decision import Decision, RawThreshold, TargetFMR, best_of, decide

TARGETS = (1e-3, 1e-2, 1e-1)
"""The FMRs that are tried, the strictest first."""


@dataclass(frozen=True)
class Deployment:
    """A threshold; `target_fmr` is the rate that was asked for, None if it was given by hand."""

    decision: Decision
    target_fmr: float | None

    @property
    def threshold(self) -> float:
        return self.decision.threshold


def deploy(calibration: Calibration | None, threshold: float | None) -> Deployment | None:
    """The threshold given, or the calibration's at the strictest of TARGETS that it supports.

    None if neither is there. Raises InvalidRequest for a threshold outside [-1, 1].
    """
    if threshold is not None:
        return Deployment(decide(RawThreshold(threshold), calibration), None)
    if calibration is None:
        return None
    for target in TARGETS:
        try:
            return Deployment(decide(TargetFMR(target), calibration), target)
        except UnsupportedOperatingPoint:
            continue  # a rate that is asked for less strictly may be supported
    return None


def least_error_threshold(calibration: Calibration | None) -> float | None:
    """Where the calibration has the least FMR + FNMR; None without one."""
    if calibration is None:
        return None
    points = calibration.pictures.points
    return min(points, key=lambda point: point.fmr + point.fnmr).threshold


def expected_fpir(deployment: Deployment, subjects: int, samples: int) -> float | None:
    """1-(1-FMR)^N of a search of so many subjects of so many samples each.

    FMR and N are those of the calibration's curve for such subjects; None without a calibration.
    """
    threshold = RawThreshold(deployment.threshold)
    search = decide(threshold, deployment.decision.calibration, subjects, samples)
    return None if search.measured is None else best_of(search.measured.fmr, search.chances)
