"""An error rate that somebody accepts, to a threshold."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from mien.errors import InvalidRequest, NotCalibrated
from mien.matching.calibration import Calibration, CurvePoint


@dataclass(frozen=True)
class TargetFMR:
    """At most this share of impostor comparisons may match."""

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

    `calibration` is None if nobody measured that, `enrolled` is None for a single comparison.
    """

    threshold: float
    calibration: Calibration | None
    enrolled: int | None = None

    def accepts(self, similarity: float) -> bool:
        """It is a match."""
        return similarity >= self.threshold

    @property
    def measured(self) -> CurvePoint | None:
        """The rates at the threshold."""
        return None if self.calibration is None else self.calibration.at_threshold(self.threshold)

    @property
    def fpir(self) -> float | None:
        """FPIR expected with so many enrolled."""
        if self.measured is None or self.enrolled is None:
            return None
        return fpir_at(self.measured.fmr, self.enrolled)


def decide(
    policy: Policy, calibration: Calibration | None, enrolled: int | None = None
) -> Decision:
    """Find the threshold that a policy asks for, with `enrolled` people in the gallery, if any.

    Raises InvalidRequest (a rate outside (0, 1), a threshold outside [-1, 1]), NotCalibrated, and
    UnsupportedOperatingPoint (a rate that the calibration data cannot support).
    """
    if isinstance(policy, RawThreshold):
        if not -1 <= policy.threshold <= 1:
            raise InvalidRequest(f"a threshold is in [-1, 1]; {policy.threshold} is not")
        return Decision(policy.threshold, calibration, enrolled)
    if not 0 < policy.rate < 1:
        raise InvalidRequest(f"an error rate is in (0, 1); {policy.rate} is not")
    if calibration is None:
        raise NotCalibrated(
            "the bundle is not calibrated, so no error rate can be promised; "
            "calibrate it, or give a raw threshold"
        )
    fmr = fmr_for(policy.rate, enrolled or 0) if isinstance(policy, TargetFPIR) else policy.rate
    return Decision(calibration.at_fmr(fmr).threshold, calibration, enrolled)


def fpir_at(fmr: float, enrolled: int) -> float:
    """FPIR ≈ 1-(1-FMR)^N, as if the N comparisons of a search were independent."""
    return -math.expm1(enrolled * math.log1p(-fmr)) if fmr < 1 else float(enrolled > 0)


def fmr_for(fpir: float, enrolled: int) -> float:
    """The FMR at which a search among N gives this FPIR; the inverse of `fpir_at`."""
    return -math.expm1(math.log1p(-fpir) / max(1, enrolled))
