"""What each threshold does, for subjects of so many samples."""

import math
from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.matching.support import smallest_fmr

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


_threshold = attrgetter("threshold")


class CurvePoint(BaseModel):
    """What one threshold does; `lower95` and `upper95` are the ends of a 95 % interval.

    `log10_lr` is the log-likelihood ratio of similarities from this threshold up to the next one.
    """

    model_config = STRICT

    threshold: float
    fmr: float
    fmr_lower95: float
    fmr_upper95: float
    fnmr: float
    fnmr_lower95: float
    fnmr_upper95: float
    log10_lr: float

    @model_validator(mode="after")
    def _within(self) -> Self:
        if not 0 <= self.fmr_lower95 <= self.fmr <= self.fmr_upper95 <= 1:
            raise ValueError(f"the FMR at {self.threshold} is not within its interval in [0, 1]")
        if not 0 <= self.fnmr_lower95 <= self.fnmr <= self.fnmr_upper95 <= 1:
            raise ValueError(f"the FNMR at {self.threshold} is not within its interval in [0, 1]")
        return self


class Curve(BaseModel):
    """Rates of one probe against a subject of `samples` samples. Points are in order of threshold.

    `identities` had that many samples; they make `identity_pairs` independent pairs, which set the
    smallest FMR that is supported (`mien.matching.support`).
    """

    model_config = STRICT

    samples: int = Field(ge=1)
    identities: int = Field(ge=2)
    identity_pairs: int = Field(ge=1)
    genuine_comparisons: int = Field(ge=1)
    impostor_comparisons: int = Field(ge=1)
    smallest_supported_fmr: float = Field(gt=0, le=1)
    points: list[CurvePoint] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        thresholds = [point.threshold for point in self.points]
        if thresholds != sorted(set(thresholds)):
            raise ValueError("the curve is not in order of threshold")
        for name, sign in (("fmr", -1), ("fnmr", 1), ("log10_lr", 1)):
            if np.any(np.diff([sign * getattr(point, name) for point in self.points]) < 0):
                raise ValueError(f"{name} does not follow the threshold")
        if self.points[-1].fmr > self.smallest_supported_fmr:
            raise ValueError("the curve ends before the smallest FMR that is supported")
        if self.smallest_supported_fmr != smallest_fmr(self.identities):
            raise ValueError(f"{self.identities} identities do not support what the curve says")
        if self.identity_pairs != (pairs := math.comb(self.identities, 2)):
            raise ValueError(f"{self.identities} identities make {pairs} pairs")
        return self

    def at_fmr(self, fmr: float) -> CurvePoint:
        """The lowest threshold whose measured FMR is at most `fmr`, a supported one."""
        return next(point for point in self.points if point.fmr <= fmr)

    def at_threshold(self, threshold: float) -> CurvePoint:
        """The measured point at or next below a threshold: its FMR is never understated."""
        return self.points[max(0, bisect_right(self.points, threshold, key=_threshold) - 1)]

    def fnmr_at(self, threshold: float) -> float:
        """The FNMR measured at or next above a threshold: it is never understated."""
        place = bisect_left(self.points, threshold, key=_threshold)
        return self.points[place].fnmr if place < len(self.points) else 1.0
