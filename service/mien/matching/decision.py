"""An error rate that somebody accepts, to a threshold."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from mien.errors import InvalidRequest, NotCalibrated, UnsupportedOperatingPoint
from mien.matching.calibration import Calibration, CurvePoint


@dataclass(frozen=True)
class TargetFMR:
    """At most this share of verifications of two different people may match."""

    rate: float


@dataclass(frozen=True)
class TargetFPIR:
    """At most this share of searches for somebody who is not enrolled may find somebody."""

    rate: float


@dataclass(frozen=True)
class RawThreshold:
    """Similarities at or above it match."""

    threshold: float


Policy: TypeAlias = TargetFMR | TargetFPIR | RawThreshold


@dataclass(frozen=True)
class Decision:
    """A threshold and what it stands for.

    `calibration` is None if nobody measured that. The best of `comparisons` similarities is held
    against the threshold: 1 for two pictures, and one for each sample of a gallery.
    """

    threshold: float
    calibration: Calibration | None
    comparisons: int = 1

    def accepts(self, similarity: float) -> bool:
        """It is a match."""
        return similarity >= self.threshold

    @property
    def measured(self) -> CurvePoint | None:
        """The rates of one comparison at the threshold."""
        return None if self.calibration is None else self.calibration.at_threshold(self.threshold)


def decide(policy: Policy, calibration: Calibration | None, comparisons: int = 1) -> Decision:
    """Find the threshold that a policy asks for, for the best of so many comparisons.

    A subject with five samples has five chances to be taken for somebody else, so that samples
    count here, not subjects.

    Raises InvalidRequest (a rate outside (0, 1), a threshold outside [-1, 1]), NotCalibrated, and
    UnsupportedOperatingPoint (a rate that the calibration data cannot support).
    """
    if isinstance(policy, RawThreshold):
        if not -1 <= policy.threshold <= 1:
            raise InvalidRequest(f"a threshold is in [-1, 1]; {policy.threshold} is not")
        return Decision(policy.threshold, calibration, comparisons)
    if not 0 < policy.rate < 1:
        raise InvalidRequest(f"an error rate is in (0, 1); {policy.rate} is not")
    if calibration is None:
        raise NotCalibrated(
            "the bundle is not calibrated, so no error rate can be promised; "
            "calibrate it, or give a raw threshold"
        )
    strictest = best_of(calibration.smallest_supported_fmr, comparisons)
    if policy.rate < strictest:
        raise UnsupportedOperatingPoint(
            f"an error rate of {policy.rate:.2g} is asked for, in {comparisons} comparisons; the "
            f"calibration, {calibration.impostor_comparisons:,} impostor comparisons of "
            f"{calibration.identities} people, supports {strictest:.2g} and above; ask for that, "
            "calibrate with more people, or give a raw threshold"
        )
    fmr = max(one_of(policy.rate, comparisons), calibration.smallest_supported_fmr)
    return Decision(calibration.at_fmr(fmr).threshold, calibration, comparisons)


def best_of(fmr: float, comparisons: int) -> float:
    """The rate of N comparisons together, 1-(1-FMR)^N, as if they were independent."""
    return -math.expm1(comparisons * math.log1p(-fmr)) if fmr < 1 else float(comparisons > 0)


def one_of(rate: float, comparisons: int) -> float:
    """The FMR at which N comparisons together have this rate; the inverse of `best_of`."""
    return -math.expm1(math.log1p(-rate) / max(1, comparisons))
