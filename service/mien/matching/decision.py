"""An error rate that somebody accepts, to a threshold."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from mien.errors import InvalidRequest, NotCalibrated, UnsupportedOperatingPoint
from mien.matching.calibration import Calibration
from mien.matching.curve import Curve, CurvePoint
from mien.matching.support import SUPPORT_RULE, identities_for


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

    `calibration` and `curve` are None if nobody measured that. The best of `chances` comparisons
    at the curve's rates is held against the threshold: for a search as many as subjects, more
    where a subject has more samples than the curve.
    """

    threshold: float
    calibration: Calibration | None
    curve: Curve | None
    chances: int = 1

    def accepts(self, similarity: float) -> bool:
        """It is a match."""
        return similarity >= self.threshold

    @property
    def measured(self) -> CurvePoint | None:
        """The rates of one comparison with a subject, at the threshold."""
        return None if self.curve is None else self.curve.at_threshold(self.threshold)


def decide(
    policy: Policy,
    calibration: Calibration | None,
    subjects: int = 1,
    samples_per_subject: int = 1,
    probes: int = 1,
) -> Decision:
    """Find the threshold that a policy asks for, for the best of so many subjects.

    `samples_per_subject` chooses the curve (`Calibration.curve_for`); one with more samples than
    any curve has, of which the best counts, is taken for several subjects. Several `probes` of one
    person count each. Both overstate the rate, if anything: the best of n, and the mean of n,
    passes a threshold at most n times as often as one does (Boole's inequality).

    Raises InvalidRequest (a rate outside (0, 1), a threshold outside [-1, 1]), NotCalibrated, and
    UnsupportedOperatingPoint (a rate that the calibration data cannot support).
    """
    _check(policy)
    if calibration is None:
        if not isinstance(policy, RawThreshold):
            raise NotCalibrated(
                "the bundle is not calibrated, so no error rate can be promised; "
                "calibrate it, or give a raw threshold"
            )
        return Decision(policy.threshold, None, None, subjects * samples_per_subject * probes)
    curve = calibration.curve_for(samples_per_subject)
    chances = subjects * calibration.chances(samples_per_subject) * probes
    threshold = (
        policy.threshold
        if isinstance(policy, RawThreshold)
        else _threshold(policy.rate, curve, chances)
    )
    return Decision(threshold, calibration, curve, chances)


def _check(policy: Policy) -> None:
    if isinstance(policy, RawThreshold):
        if not -1 <= policy.threshold <= 1:
            raise InvalidRequest(f"a threshold is in [-1, 1]; {policy.threshold} is not")
    elif not 0 < policy.rate < 1:
        raise InvalidRequest(f"an error rate is in (0, 1); {policy.rate} is not")


def _threshold(rate: float, curve: Curve, chances: int) -> float:
    strictest = best_of(curve.smallest_supported_fmr, chances)
    if rate < strictest:
        fmr = one_of(rate, chances)
        more = identities_for(fmr) - curve.identities
        told = f"{strictest:.2g}"
        able = "supports no rate below 1" if told == "1" else f"supports {told} and above"
        each = f", in {chances:,} comparisons, each at an FMR of {fmr:.2g}" if chances > 1 else ""
        ask = "" if told == "1" else "ask for that, "
        raise UnsupportedOperatingPoint(
            f"an error rate of {rate:.2g} is asked for{each}; the calibration of "
            f"{curve.identities} people {able}, by the {SUPPORT_RULE}; {ask}calibrate with "
            f"{more:,} more held-out identities, or give a raw threshold"
        )
    fmr = max(one_of(rate, chances), curve.smallest_supported_fmr)
    return curve.at_fmr(fmr).threshold


def best_of(fmr: float, chances: int) -> float:
    """The rate of N comparisons together, 1-(1-FMR)^N, as if they were independent."""
    return -math.expm1(chances * math.log1p(-fmr)) if fmr < 1 else float(chances > 0)


def one_of(rate: float, chances: int) -> float:
    """The FMR at which N comparisons together have this rate; the inverse of `best_of`."""
    return -math.expm1(math.log1p(-rate) / max(1, chances))
