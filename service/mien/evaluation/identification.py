"""Open-set identification (1:N): half the pictures of some people are enrolled, all else is asked.

The people who are enrolled, and which of their pictures, are drawn with a seed. All pictures of
everybody else are searches of strangers. Folders with roles say all that themselves.
"""

from collections.abc import Sequence

import numpy as np

from mien.evaluation import roles
from mien.evaluation.contract import GallerySize, Identification, SearchPoint, ends
from mien.evaluation.deployment import Deployment, expected_fpir
from mien.evaluation.samples import Samples
from mien.matching import identification as matching
from mien.matching.enrolment import Enrolment, enrol_split
from mien.matching.fusion import Rule
from mien.matching.identification import Searches, by_gallery_size, search

RANKS = 20
THRESHOLDS = 60


def identification(
    samples: Samples,
    rule: Rule,
    deployment: Deployment | None,
    seed: int,
    *,
    drawn: bool = True,
) -> Identification | None:
    """Enrol and search, a subject's samples fused by `rule`; None if nobody has two pictures.

    Unless it is `drawn`, samples are enrolled and searched for as the roles of their folders say.
    Otherwise at most half of the people are, of those who have more pictures than are enrolled of
    each: half of what people with several have (the median). The gallery's rates by size need a
    deployed threshold and are empty without.
    """
    enrolment = _drawn(samples, seed) if drawn else roles.enrolment(samples)
    if enrolment is None:
        return None
    found = search(enrolment, rule)
    ranks = min(RANKS, found.subjects)
    return Identification(
        drawn=drawn,
        fusion=rule,
        enrolled_people=found.subjects,
        enrolled_samples=found.samples,
        strangers=len(np.unique(found.nonmated_people)),
        mated_searches=len(found.mated_people),
        non_mated_searches=len(found.nonmated_people),
        by_threshold=_points(found, _thresholds(found), seed),
        by_gallery_size=[] if deployment is None else _sizes(enrolment, rule, deployment, seed),
        cmc=found.cmc(ranks),
        cmc_interval95=[ends(each) for each in found.cmc_intervals(ranks, seed)],
    )


def _drawn(samples: Samples, seed: int) -> Enrolment | None:
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


def _points(found: Searches, thresholds: Sequence[float], seed: int) -> list[SearchPoint]:
    fpir, fnir = found.fpir_intervals(thresholds, seed), found.fnir_intervals(thresholds, seed)
    return [
        SearchPoint(
            threshold=threshold,
            fpir=found.fpir(threshold),
            fpir_interval95=ends(of_fpir),
            fnir=found.fnir(threshold),
            fnir_interval95=ends(of_fnir),
        )
        for threshold, of_fpir, of_fnir in zip(thresholds, fpir, fnir, strict=True)
    ]


def _sizes(
    enrolment: Enrolment, rule: Rule, deployment: Deployment, seed: int
) -> list[GallerySize]:
    """About six sizes, each twice the one before, up to everybody."""
    people = len(np.unique(enrolment.gallery_people))
    sizes = sorted({max(1, people >> halvings) for halvings in range(6)})
    found = by_gallery_size(enrolment, rule, deployment.threshold, sizes, seed)
    return [_size(one, deployment, seed) for one in found]


def _size(found: matching.GallerySize, deployment: Deployment, seed: int) -> GallerySize:
    searches = found.searches
    (point,) = _points(searches, [deployment.threshold], seed)
    return GallerySize(
        people=searches.subjects,
        samples=searches.samples,
        fpir=point.fpir,
        fpir_interval95=point.fpir_interval95,
        predicted_fpir=found.predicted_fpir,
        expected_fpir=expected_fpir(
            deployment, searches.subjects, searches.samples // searches.subjects
        ),
        fnir=point.fnir,
        fnir_interval95=point.fnir_interval95,
    )
