"""Open-set identification (1:N): half the pictures of some people are enrolled, all else is asked.

The people who are enrolled, and which of their pictures, are drawn with a seed. All pictures of
everybody else are searches of strangers.
"""

from collections.abc import Sequence

import numpy as np

from mien.evaluation.contract import GallerySize, Identification, Interval, SearchPoint, ends
from mien.evaluation.deployment import Deployment, expected_fpir
from mien.evaluation.samples import Samples
from mien.matching.decision import best_of
from mien.matching.enrolment import Enrolment, enrol_split
from mien.matching.fusion import Rule
from mien.matching.identification import Searches, search
from mien.matching.metrics import cross_compare_sets

RULE: Rule = "max"
"""A subject is as alike as the best of its samples, as galleries decide."""

RANKS = 20
THRESHOLDS = 60
DRAWS = 10
"""Galleries of one size; their searches are pooled."""

ANY = -2.0
"""A threshold below every similarity."""


def identification(
    samples: Samples, deployment: Deployment | None, seed: int
) -> Identification | None:
    """Enrol and search; None if nobody has two pictures.

    At most half of the people are enrolled, of those who have more pictures than are enrolled of
    each: half of what people with several have (the median). The gallery's rates by size need a
    deployed threshold and are empty without.
    """
    enrolment = _enrolment(samples, seed)
    if enrolment is None:
        return None
    found = search(enrolment, RULE)
    ranks = range(1, min(RANKS, found.subjects) + 1)
    return Identification(
        enrolled_people=found.subjects,
        enrolled_samples=found.samples,
        strangers=len(np.unique(found.nonmated_people)),
        mated_searches=len(found.mated_people),
        non_mated_searches=len(found.nonmated_people),
        by_threshold=[_point(found, threshold, seed) for threshold in _thresholds(found)],
        by_gallery_size=[] if deployment is None else _sizes(enrolment, deployment, seed),
        cmc=found.cmc(len(ranks)),
        cmc_interval95=[_cmc_interval(found, rank, seed) for rank in ranks],
    )


def _enrolment(samples: Samples, seed: int) -> Enrolment | None:
    people = samples.person_numbers
    counts = np.bincount(people)
    several = counts[counts > 1]
    if not len(several):
        return None
    each = max(1, int(np.median(several)) // 2)
    enrolled = min(int((counts > each).sum()), len(counts) // 2)
    return enrol_split(people, each, enrolled, seed).of(samples.vectors, people)


def _thresholds(found: Searches) -> list[float]:
    values = np.concatenate([found.mated_similarities, found.nonmated_best])
    at = np.linspace(values.min(), values.max(), THRESHOLDS).astype(np.float32)
    return [float(threshold) for threshold in at]


def _point(found: Searches, threshold: float, seed: int) -> SearchPoint:
    return SearchPoint(
        threshold=threshold,
        fpir=found.fpir(threshold),
        fpir_interval95=ends(found.fpir_interval(threshold, seed)),
        fnir=found.fnir(threshold),
        fnir_interval95=ends(found.fnir_interval(threshold, seed=seed)),
    )


def _sizes(enrolment: Enrolment, deployment: Deployment, seed: int) -> list[GallerySize]:
    """About six sizes, each twice the one before, up to everybody."""
    people = np.unique(enrolment.gallery_people)
    sizes = sorted({max(1, len(people) >> halvings) for halvings in range(6)})
    random = np.random.default_rng(seed)
    fmr = _stranger_fmr(enrolment, deployment.threshold)
    points = []
    for size in sizes:
        drawn = [
            enrolment.only(random.choice(people, size, replace=False))
            for _ in range(DRAWS if size < len(people) else 1)
        ]
        found = _pooled([search(one, RULE) for one in drawn])
        points.append(_size(found, fmr, deployment, seed))
    return points


def _size(found: Searches, fmr: float, deployment: Deployment, seed: int) -> GallerySize:
    point = _point(found, deployment.threshold, seed)
    return GallerySize(
        people=found.subjects,
        samples=found.samples,
        fpir=point.fpir,
        fpir_interval95=point.fpir_interval95,
        predicted_fpir=best_of(fmr, found.samples),
        expected_fpir=expected_fpir(deployment, found.samples),
        fnir=point.fnir,
        fnir_interval95=point.fnir_interval95,
    )


def _pooled(drawn: Sequence[Searches]) -> Searches:
    """All searches of galleries of one size as those of one, so that people are drawn with all."""
    return Searches(
        subjects=drawn[0].subjects,
        samples=drawn[0].samples,
        mated_people=np.concatenate([one.mated_people for one in drawn]),
        mated_similarities=np.concatenate([one.mated_similarities for one in drawn]),
        mated_ranks=np.concatenate([one.mated_ranks for one in drawn]),
        nonmated_people=np.concatenate([one.nonmated_people for one in drawn]),
        nonmated_best=np.concatenate([one.nonmated_best for one in drawn]),
    )


def _stranger_fmr(enrolment: Enrolment, threshold: float) -> float:
    """FMR of one comparison of a stranger's picture with an enrolled one."""
    strangers = ~enrolment.mated
    return cross_compare_sets(
        enrolment.probes[strangers],
        enrolment.probe_people[strangers],
        enrolment.gallery,
        enrolment.gallery_people,
    ).fmr(threshold)


def _cmc_interval(found: Searches, rank: int, seed: int) -> Interval:
    missed = found.fnir_interval(ANY, rank, seed)
    return (1 - missed.high, 1 - missed.low)
