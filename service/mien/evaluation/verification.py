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
from mien.matching.intervals import RateIntervals
from mien.matching.metrics import Comparisons, Rates, Similarities
from mien.matching.support import people_pairs_for, smallest_fmr_of

TARGET_FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
DET_POINTS = 512
BINS = 60
NARROWEST = 1e-3
"""Of a histogram, in cosines: similarities may all be equal, and a bin needs a width."""


def verification(compared: Compared) -> Verification:
    """Measure EER, AUC, DET, and FNMR at each of TARGET_FMRS that the people support."""
    comparisons = compared.comparisons
    fmr, fnmr = comparisons.det(DET_POINTS)
    return Verification(
        genuine_comparisons=len(comparisons.genuine),
        impostor_comparisons=len(comparisons.impostor),
        people=compared.people,
        people_pairs=compared.people_pairs,
        smallest_supported_fmr=smallest_fmr_of(compared.people_pairs),
        eer=comparisons.eer(),
        eer_interval95=ends(compared.eer_interval()),
        auc=comparisons.auc(),
        operating_points=_operating_points(compared),
        det=Curve(fmr=fmr.tolist(), fnmr=fnmr.tolist()),
        similarities=_histogram(comparisons),
    )


def deployed(compared: Compared, deployment: Deployment) -> Deployed:
    """What the deployed threshold does on these comparisons."""
    comparisons, threshold = compared.comparisons, deployment.threshold
    (found,) = compared.rate_intervals([threshold])
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


def _operating_points(compared: Compared) -> list[OperatingPoint]:
    needed = [people_pairs_for(target) for target in TARGET_FMRS]
    supported = [
        target
        for target, pairs in zip(TARGET_FMRS, needed, strict=True)
        if pairs <= compared.people_pairs
    ]
    thresholds = [compared.comparisons.threshold_at_fmr(target) for target in supported]
    intervals = compared.rate_intervals(thresholds) if thresholds else []
    measured = [
        _measured(target, pairs, compared.comparisons, threshold, found)
        for target, pairs, threshold, found in zip(
            supported, needed, thresholds, intervals, strict=False
        )
    ]
    return measured + _unsupported(TARGET_FMRS[len(supported) :], needed[len(supported) :])


def _measured(
    target: float, needed: int, comparisons: Comparisons, threshold: float, found: RateIntervals
) -> OperatingPoint:
    return OperatingPoint(
        target_fmr=target,
        supported=True,
        people_pairs_needed=needed,
        threshold=threshold,
        fmr=comparisons.fmr(threshold),
        fmr_interval95=ends(found.fmr),
        fnmr=comparisons.fnmr(threshold),
        fnmr_interval95=ends(found.fnmr),
    )


def _unsupported(targets: Sequence[float], needed: Sequence[int]) -> list[OperatingPoint]:
    return [
        OperatingPoint(
            target_fmr=target,
            supported=False,
            people_pairs_needed=pairs,
            threshold=None,
            fmr=None,
            fmr_interval95=None,
            fnmr=None,
            fnmr_interval95=None,
        )
        for target, pairs in zip(targets, needed, strict=True)
    ]


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
