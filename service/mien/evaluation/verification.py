"""Verification (1:1): FMR and FNMR over all comparisons."""

from collections.abc import Sequence

import numpy as np

from mien.evaluation.compared import Compared
from mien.evaluation.contract import (
    Curve,
    Deployed,
    Histogram,
    OperatingPoint,
    Verification,
    ends,
)
from mien.evaluation.deployment import Deployment
from mien.matching.intervals import CurveIntervals, RateIntervals
from mien.matching.metrics import Comparisons, Rates, Similarities
from mien.matching.support import people_pairs_for, smallest_fmr_of

TARGET_FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
DET_POINTS = 512
BINS = 60
NARROWEST = 1e-3
"""Of a histogram, in cosines: similarities may all be equal, and a bin needs a width."""


def verification(
    compared: Compared, deployment: Deployment | None = None
) -> tuple[Verification, Deployed | None]:
    """Measure EER, AUC, DET, and FNMR at each of TARGET_FMRS that the people support.

    And what the deployed threshold does, if there is one: intervals of all come from one pass.
    """
    comparisons = compared.comparisons
    supported = _supported(compared)
    thresholds = [comparisons.threshold_at_fmr(target) for target in supported]
    asked = [] if deployment is None else [deployment.threshold]
    found = compared.intervals([*thresholds, *asked])
    points = [
        _measured(target, comparisons, threshold, rates)
        for target, threshold, rates in zip(supported, thresholds, found.rates, strict=False)
    ]
    at_deployed = (
        None if deployment is None else _deployed(comparisons, deployment, found.rates[-1])
    )
    return _verification(compared, found, points), at_deployed


def _verification(
    compared: Compared, found: CurveIntervals, points: Sequence[OperatingPoint]
) -> Verification:
    comparisons = compared.comparisons
    fmr, fnmr = comparisons.det(DET_POINTS)
    return Verification(
        genuine_comparisons=len(comparisons.genuine),
        impostor_comparisons=len(comparisons.impostor),
        people=compared.people,
        people_pairs=compared.people_pairs,
        smallest_supported_fmr=smallest_fmr_of(compared.people_pairs),
        eer=comparisons.eer(),
        eer_interval95=ends(found.eer),
        auc=comparisons.auc(),
        auc_interval95=ends(found.auc),
        operating_points=[*points, *map(_unsupported, TARGET_FMRS[len(points) :])],
        det=Curve(fmr=fmr.tolist(), fnmr=fnmr.tolist()),
        similarities=_histogram(comparisons),
    )


def _deployed(comparisons: Comparisons, deployment: Deployment, found: RateIntervals) -> Deployed:
    """What the deployed threshold does on these comparisons."""
    threshold = deployment.threshold
    measured, curve = deployment.decision.measured, deployment.decision.curve
    return Deployed(
        threshold=threshold,
        target_fmr=deployment.target_fmr,
        expected_fmr=None if measured is None else measured.fmr,
        expected_fmr_upper95=None if measured is None else measured.fmr_upper95,
        expected_fnmr=None if curve is None else curve.fnmr_at(threshold),
        fmr=comparisons.fmr(threshold),
        fmr_interval95=ends(found.fmr),
        fnmr=comparisons.fnmr(threshold),
        fnmr_interval95=ends(found.fnmr),
    )


def _supported(compared: Compared) -> list[float]:
    """Of TARGET_FMRS, which fall, those that the people carry."""
    return [target for target in TARGET_FMRS if people_pairs_for(target) <= compared.people_pairs]


def _measured(
    target: float, comparisons: Comparisons, threshold: float, found: RateIntervals
) -> OperatingPoint:
    return OperatingPoint(
        target_fmr=target,
        supported=True,
        people_pairs_needed=people_pairs_for(target),
        threshold=threshold,
        fmr=comparisons.fmr(threshold),
        fmr_interval95=ends(found.fmr),
        fnmr=comparisons.fnmr(threshold),
        fnmr_interval95=ends(found.fnmr),
    )


def _unsupported(target: float) -> OperatingPoint:
    return OperatingPoint(
        target_fmr=target,
        supported=False,
        people_pairs_needed=people_pairs_for(target),
        threshold=None,
        fmr=None,
        fmr_interval95=None,
        fnmr=None,
        fnmr_interval95=None,
    )


def _histogram(comparisons: Comparisons) -> Histogram:
    genuine, impostor = comparisons.genuine, comparisons.impostor
    lowest = float(min(genuine[0], impostor[0]))
    highest = float(max(genuine[-1], impostor[-1]))
    if highest - lowest < NARROWEST:
        middle = (lowest + highest) / 2
        lowest, highest = middle - NARROWEST / 2, middle + NARROWEST / 2
    edges = np.linspace(lowest, highest, BINS + 1)
    return Histogram(
        edges=edges.tolist(),
        genuine=_density(genuine, edges),
        impostor=_density(impostor, edges),
    )


def _density(ascending: Similarities, edges: Rates) -> list[float]:
    below = np.searchsorted(ascending, edges.astype(np.float32)).astype(float)
    below[-1] = len(ascending)  # the last edge belongs to the last bin
    below[0] = 0
    return [float(d) for d in np.diff(below) / len(ascending) / np.diff(edges)]
