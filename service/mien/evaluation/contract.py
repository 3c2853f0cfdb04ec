"""`report.json`: what an evaluation found. docs/evaluation.md explains every key.

Rates are shares in [0, 1]. An interval is [low, high], of 95 %, by resampling people. What was not
measured or not asked for is null, never 0.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mien.matching import intervals
from mien.model.manifest import Precision
from mien.vision.selection import OneFace

FORMAT = "mien-evaluation/1"

Interval = tuple[float, float]

Role = Literal["gallery", "probes", "strangers"]
"""What a folder of people is for."""


def ends(found: intervals.Interval) -> Interval:
    """An interval as the report holds it."""
    return (found.low, found.high)


class Section(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Int8Cost(Section):
    """FNMR at an FMR, or the EER, of a network before and after it was quantised."""

    target_fmr: float | None
    float32: float
    int8: float


class EvaluatedBundle(Section):
    """`int8_cost` is what was measured when it was sealed, on people held out of learning."""

    name: str
    fingerprint: str
    calibration_id: str | None
    precision: Precision
    float32_fingerprint: str | None
    int8_cost: list[Int8Cost] | None


class EvaluatedData(Section):
    name: str
    source: Literal["folder", "vectors"]
    comparisons: Literal["all", "view1", "view2"]
    people: int
    pictures: int
    left_out_pairs: int
    multi_face: OneFace


class Acquisition(Section):
    """Failures to acquire are of pictures, failures to enrol of people."""

    pictures: int
    failures_to_acquire: int
    failure_to_acquire_rate: float
    people: int
    failures_to_enrol: int
    failure_to_enrol_rate: float
    reasons: dict[str, int]
    pictures_failed: list[str]
    people_failed: list[str]


class FolderOfRole(Section):
    """A folder that is enrolled, or searched for."""

    role: Role
    name: str
    acquisition: Acquisition


class OperatingPoint(Section):
    """One false match rate that somebody may ask for, on these comparisons."""

    target_fmr: float
    supported: bool
    people_pairs_needed: int
    threshold: float | None
    fmr: float | None
    fmr_interval95: Interval | None
    fnmr: float | None
    fnmr_interval95: Interval | None


class Curve(Section):
    """The detection error tradeoff, thinned for drawing; in order of threshold."""

    fmr: list[float]
    fnmr: list[float]


class Histogram(Section):
    """Densities of similarities between the edges, one fewer than edges."""

    edges: list[float]
    genuine: list[float]
    impostor: list[float]


class Verification(Section):
    genuine_comparisons: int
    impostor_comparisons: int
    people: int
    people_pairs: int
    smallest_supported_fmr: float
    eer: float
    eer_interval95: Interval
    auc: float
    auc_interval95: Interval
    operating_points: list[OperatingPoint]
    det: Curve
    similarities: Histogram


class Deployed(Section):
    """The one threshold that would be served, and what it does here."""

    threshold: float
    target_fmr: float | None
    expected_fmr: float | None
    expected_fmr_upper95: float | None
    expected_fnmr: float | None
    fmr: float
    fmr_interval95: Interval
    fnmr: float
    fnmr_interval95: Interval


class Lfw(Section):
    """Accuracy by the protocol of Labeled Faces in the Wild."""

    view: Literal[1, 2]
    pairs: int
    folds: int | None
    thresholds: list[float]
    accuracy: float | None
    accuracy_interval95: Interval | None
    standard_error: float | None
    fold_accuracies: list[float]


class Likelihood(Section):
    """Decimal log-likelihood ratios of similarities from each threshold up to the next one."""

    thresholds: list[float]
    by_calibration: list[float]
    here: list[float]


class SearchPoint(Section):
    threshold: float
    fpir: float
    fpir_interval95: Interval
    fnir: float
    fnir_interval95: Interval


class GallerySize(Section):
    """Galleries of so many of the enrolled people, searched at the deployed threshold."""

    people: int
    samples: int
    fpir: float
    fpir_interval95: Interval
    predicted_fpir: float
    expected_fpir: float | None
    fnir: float
    fnir_interval95: Interval


class Identification(Section):
    """Open-set search: some people are enrolled, the others are strangers.

    `drawn`: who is enrolled was drawn, and no folder said so.
    """

    drawn: bool
    fusion: Literal["max", "mean"]
    enrolled_people: int
    enrolled_samples: int
    strangers: int
    mated_searches: int
    non_mated_searches: int
    by_threshold: list[SearchPoint]
    by_gallery_size: list[GallerySize]
    cmc: list[float]
    cmc_interval95: list[Interval]


class Group(Section):
    """Comparisons within one group."""

    group: str
    people: int
    pictures: int
    genuine_comparisons: int
    impostor_comparisons: int
    fmr: float | None
    fmr_interval95: Interval | None
    fnmr: float | None
    fnmr_interval95: Interval | None


class Ratio(Section):
    """The worst group's rate by the best's. Without a `value` `low` is a bound; so is no `high`."""

    worst: str
    best: str
    value: float | None
    low95: float
    high95: float | None


class Groups(Section):
    """Rates per group at the deployed threshold."""

    threshold: float
    groups: list[Group]
    fmr_ratio: Ratio | None
    fnmr_ratio: Ratio | None


class Difference(Section):
    """The other bundle's value less this one's, on the same comparisons.

    With too few people neither interval nor p-value.
    """

    measure: Literal["EER", "FNMR at FMR 10 %", "FNMR at FMR 1 %", "accuracy"]
    this: float
    other: float
    difference: float
    difference_interval95: Interval | None
    p_value: float | None


class Against(Section):
    """Another bundle on the same pictures, or this one on the middle of each."""

    bundle: EvaluatedBundle
    middle: float | None
    acquisition: Acquisition | None
    verification: Verification
    lfw: Lfw | None
    compared_pairs: int
    differences: list[Difference]


class Report(Section):
    """`report.json`."""

    format: str
    mien: str
    seed: int
    bundle: EvaluatedBundle
    data: EvaluatedData
    acquisition: Acquisition | None
    folders: list[FolderOfRole] | None
    verification: Verification
    deployed: Deployed | None
    likelihood: Likelihood | None
    lfw: Lfw | None
    identification: Identification | None
    groups: Groups | None
    against: Against | None
