"""Error rates by threshold, measured on people whom the network never learned from."""

import hashlib
import math
from typing import Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from mien.errors import DatasetInvalid
from mien.matching.curve import STRICT, Curve, CurvePoint
from mien.matching.fusion import RULES, Rule
from mien.matching.intervals import RateIntervals
from mien.matching.likelihood import log10_ratios, shares
from mien.matching.metrics import Comparisons, People, Similarities, Vectors
from mien.matching.subjects import Subjects
from mien.matching.support import SUPPORT_RULE, SupportRule, smallest_fmr, smallest_fnmr

POINTS_PER_DECADE = 16
GENUINE_STEPS = 64
SIZES = (1, 2, 4, 8, 16)
"""Samples of a subject for which rates are measured, as far as the data carries."""


class Calibration(BaseModel):
    """`calibration.json`: a curve for each number of samples a subject, in that order.

    The first is of single samples: two pictures. `support` says how the smallest FMR of each curve
    follows from its people: an impostor comparison's unit is a pair of people, so that it is
    3 / C(identities, 2).
    """

    model_config = STRICT

    calibration_id: str
    model_fingerprint: str
    support: SupportRule
    fusion: Rule
    dataset_digest: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    """`mien.dataset.digest` of the pictures; empty if they are not known, as in older files."""
    curves: list[Curve] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _not_older(cls, fields: object) -> object:
        if isinstance(fields, dict) and "curve" in fields:
            raise ValueError("an older mien measured it; export the bundle again to calibrate it")
        return fields

    @model_validator(mode="after")
    def _complete(self) -> Self:
        sizes = [curve.samples for curve in self.curves]
        if sizes[0] != 1 or sizes != sorted(set(sizes)):
            raise ValueError(f"the curves are of {sizes} samples; they begin at 1 and rise")
        return self

    @property
    def pictures(self) -> Curve:
        """The curve of two pictures."""
        return self.curves[0]

    @property
    def identities(self) -> int:
        return self.pictures.identities

    @property
    def smallest_supported_fmr(self) -> float:
        """Of two pictures."""
        return self.pictures.smallest_supported_fmr

    def curve_for(self, samples: int) -> Curve:
        """The curve whose FMR is not below that of subjects of so many samples, if it has one.

        The best of more samples passes a threshold oftener: so the next larger number that was
        measured, or the largest (see `chances`). A mean of more samples varies less and passes a
        high threshold more rarely: so the next smaller number.
        """
        if self.fusion == "mean":
            return [curve for curve in self.curves if curve.samples <= max(1, samples)][-1]
        larger = (curve for curve in self.curves if curve.samples >= samples)
        return next(larger, self.curves[-1])

    def chances(self, samples: int) -> int:
        """For how many subjects of its curve one of so many samples has to be taken.

        The best of more samples than any curve has is the best of several subjects of the largest.
        """
        return 1 if self.fusion == "mean" else -(-samples // self.curve_for(samples).samples)


def calibrate(
    vectors: Vectors,
    people: People,
    model_fingerprint: str,
    seed: int = 0,
    *,
    dataset_digest: str = "",
) -> Calibration:
    """Measure FMR and FNMR by threshold over comparisons of N vectors; `people` [N] says whose.

    The digest is of the pictures that the vectors are of (`mien.dataset.digest`).

    For subjects of 1 sample, and of 2, 4 … as long as half of the people have one more than that;
    their samples are fused by the rule that does better on these people. 95 % intervals come from
    resampling people, since comparisons of one person depend on each other. By blocks: what is held
    is 4 bytes for each comparison.

    Raises DatasetInvalid with fewer than two people, or with a single picture of each.
    """
    counts = np.unique(people, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        raise DatasetInvalid(
            f"{len(people)} pictures of {len(counts)} people cannot calibrate anything; give two "
            "people or more, and two pictures or more of some"
        )
    sizes = [k for k in SIZES if k == 1 or 2 * (counts > k).sum() >= max(4, len(counts))]
    fused = {k: Subjects.draw(vectors, people, k, seed) for k in sizes}
    fusion = _better(list(fused.values())[1:])
    curves = [_curve(subjects, fusion, seed) for subjects in fused.values()]
    return Calibration(
        calibration_id=_identity(model_fingerprint, curves),
        model_fingerprint=model_fingerprint,
        support=SUPPORT_RULE,
        fusion=fusion,
        dataset_digest=dataset_digest,
        curves=curves,
    )


def fusion_of(calibration: Calibration | None) -> Rule:
    """The rule that is calibrated; without a calibration the best sample counts."""
    return "max" if calibration is None else calibration.fusion


def _better(measured: list[Subjects]) -> Rule:
    """The rule with fewer false non-matches at the smallest FMR that is supported, on average.

    Equal ones are told apart by their equal error rates, and if these are equal, it is the best
    sample that counts.
    """

    def cost(rule: Rule) -> tuple[float, float]:
        costs = [_errors(subjects, rule) for subjects in measured]
        return sum(fnmr for fnmr, _ in costs), sum(eer for _, eer in costs)

    return min(RULES, key=cost) if measured else "max"


def _errors(subjects: Subjects, rule: Rule) -> tuple[float, float]:
    compared = subjects.comparisons(rule)
    return compared.fnmr_at_fmr(smallest_fmr(subjects.people)), compared.eer()


def _curve(subjects: Subjects, fusion: Rule, seed: int) -> Curve:
    people, compared = subjects.people, subjects.comparisons(fusion)
    thresholds = _thresholds(compared, smallest_fmr(people))
    return Curve(
        samples=subjects.size,
        identities=people,
        identity_pairs=math.comb(people, 2),
        genuine_comparisons=len(compared.genuine),
        impostor_comparisons=len(compared.impostor),
        smallest_supported_fmr=smallest_fmr(people),
        points=_points(subjects, fusion, compared, thresholds, seed),
    )


def _points(
    subjects: Subjects,
    fusion: Rule,
    compared: Comparisons,
    thresholds: Similarities,
    seed: int,
) -> list[CurvePoint]:
    fmr, fnmr = compared.rates(thresholds)
    ratios = log10_ratios(
        shares(fnmr),
        shares(1 - fmr),
        smallest_fnmr(subjects.people_with_genuine),
        smallest_fmr(subjects.people),
    )
    return [
        _point(*measured)
        for measured in zip(
            subjects.intervals(fusion, thresholds, seed),
            fmr.tolist(),
            fnmr.tolist(),
            ratios,
            strict=True,
        )
    ]


def _point(intervals: RateIntervals, fmr: float, fnmr: float, log10_lr: float) -> CurvePoint:
    return CurvePoint(
        threshold=intervals.threshold,
        fmr=fmr,
        fmr_lower95=min(intervals.fmr.low, fmr),
        fmr_upper95=max(intervals.fmr.high, fmr),
        fnmr=fnmr,
        fnmr_lower95=min(intervals.fnmr.low, fnmr),
        fnmr_upper95=max(intervals.fnmr.high, fnmr),
        log10_lr=log10_lr,
    )


def _thresholds(comparisons: Comparisons, smallest: float) -> Similarities:
    """Ascending, from -1: dense in FMR down to the smallest supported, and in FNMR."""
    steps = int(-np.log10(smallest) * POINTS_PER_DECADE)
    targets = [*(10 ** (-step / POINTS_PER_DECADE) for step in range(steps + 1)), smallest]
    at_impostors = [comparisons.threshold_at_fmr(target) for target in targets]
    at_genuines = np.quantile(comparisons.genuine, np.linspace(0, 1, GENUINE_STEPS))
    return np.unique(np.concatenate([[-1.0], at_impostors, at_genuines]).astype(np.float32))


def _identity(model_fingerprint: str, curves: list[Curve]) -> str:
    digest = hashlib.sha256(model_fingerprint.encode())
    for curve in curves:
        digest.update(curve.model_dump_json().encode())
    return digest.hexdigest()[:16]
