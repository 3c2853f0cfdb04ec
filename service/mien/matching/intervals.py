"""95 % intervals of error rates, from resampling people."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from mien.errors import DatasetInvalid
from mien.matching.metrics import Comparisons, People, Rates, Vectors, crossing
from mien.matching.resampling import draw, numbered, pair_weights, resample_rates

RULE_OF_THREE = 3.0
"""Without an error among n independent comparisons, the rate is below 3/n with 95 % confidence
(ISO/IEC 19795-1:2021, the rule of 3)."""
TAIL = 0.025


@dataclass(frozen=True)
class Interval:
    """Both ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class RateIntervals:
    """Of both error rates at one threshold."""

    threshold: float
    fmr: Interval
    fnmr: Interval
