"""Error rates by threshold, measured on people whom the network never learned from."""

import hashlib
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.matching.metrics import Comparisons, Rates, Vectors, cross_compare

POINTS_PER_DECADE = 16
GENUINE_STEPS = 64
RESAMPLES = 1000
RULE_OF_THREE = 3.0
"""Without an error among n comparisons, the rate is below 3/n with 95 % confidence (ISO/IEC
19795-1:2021, the rule of 3)."""


class CurvePoint(BaseModel):
    """What one threshold does."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    threshold: float
    fmr: float
    fmr_upper95: float
    fnmr: float


class Calibration(BaseModel):
    """`calibration.json`. The curve is in order of threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    calibration_id: str
    model_fingerprint: str
    identities: int = Field(ge=2)
    genuine_comparisons: int = Field(ge=1)
    impostor_comparisons: int = Field(ge=1)
    smallest_supported_fmr: float = Field(gt=0, le=1)
    curve: list[CurvePoint] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        thresholds = [point.threshold for point in self.curve]
        if thresholds != sorted(set(thresholds)):
            raise ValueError("the curve is not in order of threshold")
        if self.curve[-1].fmr > self.smallest_supported_fmr:
            raise ValueError("the curve ends before the smallest FMR that is supported")
        return self

    def at_fmr(self, fmr: float) -> CurvePoint:
        """The lowest threshold whose measured FMR is at most `fmr`, a supported one."""
        return next(point for point in self.curve if point.fmr <= fmr)

    def at_threshold(self, threshold: float) -> CurvePoint:
        """The measured point at or next below a threshold: its FMR is never understated."""
        thresholds = [point.threshold for point in self.curve]
        return self.curve[max(0, int(np.searchsorted(thresholds, threshold, side="right")) - 1)]

    def fnmr_at(self, threshold: float) -> float:
        """The FNMR measured at or next above a threshold: it is never understated."""
        return next((p.fnmr for p in self.curve if p.threshold >= threshold), 1.0)


def calibrate(
    vectors: Vectors, people: npt.NDArray[np.int64], model_fingerprint: str, seed: int = 0
) -> Calibration:
    """Measure FMR and FNMR by threshold over all pairs of N vectors; `people` [N] says whose.

    The smallest FMR that is supported follows from the rule of three on impostor comparisons. The
    upper ends of the 95 % intervals come from resampling people, since comparisons of one person
    depend on each other (Bolle et al. 2004, the subsets bootstrap). None is below the rule of three
    on pairs of people: a few people may happen to have no doubles among them, and resampling those
    few never shows one.
    """
    comparisons = cross_compare(vectors, people)
    smallest = min(1.0, RULE_OF_THREE / len(comparisons.impostor))
    thresholds = _thresholds(comparisons, smallest)
    identities = len(np.unique(people))
    upper = np.maximum(
        _fmr_upper95(vectors, people, thresholds, seed),
        min(1.0, RULE_OF_THREE / math.comb(identities, 2)),
    )
    curve = [
        CurvePoint(
            threshold=t,
            fmr=comparisons.fmr(t),
            fmr_upper95=float(u),
            fnmr=comparisons.fnmr(t),
        )
        for t, u in zip(thresholds, upper, strict=True)
    ]
    return Calibration(
        calibration_id=_identity(model_fingerprint, comparisons),
        model_fingerprint=model_fingerprint,
        identities=identities,
        genuine_comparisons=len(comparisons.genuine),
        impostor_comparisons=len(comparisons.impostor),
        smallest_supported_fmr=smallest,
        curve=curve,
    )


def _thresholds(comparisons: Comparisons, smallest_fmr: float) -> list[float]:
    decades = -np.log10(smallest_fmr)
    targets = np.logspace(0, -decades, int(decades * POINTS_PER_DECADE) + 2)
    at_impostors = [comparisons.threshold_at_fmr(float(target)) for target in targets]
    quantiles = np.quantile(comparisons.genuine, np.linspace(0, 1, GENUINE_STEPS))
    at_genuines = quantiles.astype(np.float32).tolist()  # as precise as a similarity
    return sorted({*at_impostors, *at_genuines})


def _fmr_upper95(
    vectors: Vectors, people: npt.NDArray[np.int64], thresholds: Sequence[float], seed: int
) -> Rates:
    """Upper ends [T] of the 95 % intervals of FMR, by resampling people with replacement."""
    order = np.argsort(people, kind="stable")
    similarities = vectors[order] @ vectors[order].T
    sizes = np.unique(people, return_counts=True)[1]
    starts, count = np.cumsum(sizes) - sizes, len(sizes)
    draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    weights = np.stack([np.bincount(draw, minlength=count) for draw in draws]).astype(float)
    between = 1 - np.eye(count)
    compared = _weighted(np.outer(sizes, sizes) * between, weights)
    usable = compared > 0
    upper = []
    for threshold in thresholds:
        by_row = np.add.reduceat(similarities >= np.float32(threshold), starts, 0, np.int32)
        matches = np.add.reduceat(by_row, starts, 1) * between
        upper.append(np.quantile(_weighted(matches, weights)[usable] / compared[usable], 0.975))
    return np.array(upper)


def _weighted(per_pair: Rates, weights: Rates) -> Rates:
    """For each resample, the sum over pairs of people, each as often as both were drawn."""
    return np.asarray(np.einsum("bi,ij,bj->b", weights, per_pair, weights, optimize=True))


def _identity(model_fingerprint: str, comparisons: Comparisons) -> str:
    digest = hashlib.sha256(model_fingerprint.encode())
    digest.update(comparisons.genuine.tobytes())
    digest.update(comparisons.impostor.tobytes())
    return digest.hexdigest()[:16]
