"""Open-set identification, in the vocabulary of ISO/IEC 19795-1.

A mated search is of somebody who is enrolled; it fails if that subject is not among the first
`rank` candidates or is below the threshold. FNIR: share of mated searches that fail. FPIR: share of
non-mated searches that find anybody at or above the threshold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.decision import best_of
from mien.matching.enrolment import Enrolment
from mien.matching.fusion import Rule, fuse
from mien.matching.intervals import Interval, interval
from mien.matching.metrics import People, Similarities, refuse_nan
from mien.matching.resampling import draw

BLOCK_VALUES = 1 << 23
"""Similarities of one block of searches; 32 MiB."""

NO_NONMATED = "FPIR needs searches for people who are not enrolled; leave somebody out"
DRAWS = 10
"""Galleries of one size."""

Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Searches:
    """What searches of one gallery found."""

    subjects: int
    samples: int
    mated_people: People
    """[M], who was searched for."""
    mated_similarities: Similarities
    """[M], of the own subject."""
    mated_ranks: Indices
    """[M], of the own subject, from 1. A subject that is as alike counts as ahead."""
    nonmated_people: People
    """[Q], who was searched for, and is not enrolled."""
    nonmated_best: Similarities
    """[Q], of the best candidate."""

    @classmethod
    def together(cls, searches: Sequence["Searches"]) -> Self:
        """Of several galleries with as many subjects each; `samples` is their mean, rounded."""
        return cls(
            subjects=searches[0].subjects,
            samples=round(float(np.mean([one.samples for one in searches]))),
            mated_people=np.concatenate([one.mated_people for one in searches]),
            mated_similarities=np.concatenate([one.mated_similarities for one in searches]),
            mated_ranks=np.concatenate([one.mated_ranks for one in searches]),
            nonmated_people=np.concatenate([one.nonmated_people for one in searches]),
            nonmated_best=np.concatenate([one.nonmated_best for one in searches]),
        )

    def fpir(self, threshold: float) -> float:
        """Share of non-mated searches with a candidate at or above the threshold."""
        return float(self._found(threshold).mean())

    def fnir(self, threshold: float, rank: int = 1) -> float:
        """Share of mated searches without their subject among the first `rank` candidates, or with
        it below the threshold."""
        return float(self._missed(threshold, rank).mean())

    def cmc(self, ranks: int = 20) -> list[float]:
        """Shares of mated searches with their subject among the first 1, 2 … candidates.

        Whatever the threshold: closed-set, the cumulative match characteristic.
        """
        self._needs_mated()
        return [float((self.mated_ranks <= rank).mean()) for rank in range(1, ranks + 1)]

    def fpir_intervals(self, thresholds: Sequence[float], seed: int = 0) -> list[Interval]:
        """95 %, by resampling the people who were searched for; the gallery stays as it is."""
        found = [self._found(threshold) for threshold in thresholds]
        return _intervals(found, self.nonmated_people, seed)

    def fnir_intervals(self, thresholds: Sequence[float], seed: int = 0) -> list[Interval]:
        """The same of FNIR at rank 1."""
        missed = [self._missed(threshold, 1) for threshold in thresholds]
        return _intervals(missed, self.mated_people, seed)

    def cmc_intervals(self, ranks: int = 20, seed: int = 0) -> list[Interval]:
        """The same of each share of `cmc`."""
        self._needs_mated()
        found = [self.mated_ranks <= rank for rank in range(1, ranks + 1)]
        return _intervals(found, self.mated_people, seed)

    def _found(self, threshold: float) -> npt.NDArray[np.bool_]:
        if not len(self.nonmated_best):
            raise DatasetInvalid(NO_NONMATED)
        return np.asarray(self.nonmated_best >= np.float32(threshold))

    def _missed(self, threshold: float, rank: int) -> npt.NDArray[np.bool_]:
        self._needs_mated()
        below = self.mated_similarities < np.float32(threshold)
        return np.asarray(below | (self.mated_ranks > rank))

    def _needs_mated(self) -> None:
        if not len(self.mated_ranks):
            raise DatasetInvalid(
                "FNIR needs searches for people who are enrolled; keep a picture of somebody out "
                "of the gallery"
            )


def search(enrolment: Enrolment, rule: Rule) -> Searches:
    """Search each probe among the samples of the gallery, fused by `rule`; exactly, by blocks."""
    (found,) = search_among(enrolment, rule, [np.unique(enrolment.gallery_people)])
    return found


def search_among(enrolment: Enrolment, rule: Rule, galleries: Sequence[People]) -> list[Searches]:
    """Searches of smaller galleries: of each, these of the enrolled people, and nobody else.

    Probes of those of the enrolled who are not in a gallery are left out; probes of people who are
    not enrolled at all stay. A probe is compared with all who are enrolled once, whatever the
    number of galleries.
    """
    gathered = [_Gathered(enrolment, people) for people in galleries]
    for part, fused in _blocks(enrolment, rule):
        for one in gathered:
            one.add(part, fused)
    return [one.searches() for one in gathered]


class _Gathered:
    """What searches of one gallery found so far; `people` are those of the enrolled who are in it.

    `mated` [P]: probes of somebody in it; `nonmated` [P]: of somebody who is not enrolled at all.
    """

    def __init__(self, enrolment: Enrolment, people: People) -> None:
        known = np.unique(enrolment.gallery_people)
        self._people = enrolment.probe_people
        self._mated = np.isin(self._people, people)
        self._nonmated = ~enrolment.mated
        self._columns = np.flatnonzero(np.isin(known, people))
        self._own_columns = np.searchsorted(known, self._people)
        self._samples = int(np.isin(enrolment.gallery_people, people).sum())
        self._own: list[Similarities] = []
        self._ranks: list[Indices] = []
        self._best: list[Similarities] = []

    def add(self, part: slice, fused: Similarities) -> None:
        """The similarities of a part of the probes with every subject who is enrolled."""
        at = np.flatnonzero(self._mated[part])
        own = fused[at, self._own_columns[part][at]]
        self._own.append(own)
        self._ranks.append((fused[np.ix_(at, self._columns)] >= own[:, None]).sum(1))
        strangers = np.flatnonzero(self._nonmated[part])
        self._best.append(fused[np.ix_(strangers, self._columns)].max(1))

    def searches(self) -> Searches:
        return Searches(
            subjects=len(self._columns),
            samples=self._samples,
            mated_people=self._people[self._mated],
            mated_similarities=np.concatenate(self._own),
            mated_ranks=np.concatenate(self._ranks),
            nonmated_people=self._people[self._nonmated],
            nonmated_best=np.concatenate(self._best),
        )


@dataclass(frozen=True)
class GallerySize:
    """Searches among so many subjects, of galleries drawn at random."""

    searches: Searches
    """Of all the galleries together, so that a person counts with all their searches."""
    predicted_fpir: float
    """1-(1-FMR)^N, with the FMR of the same non-mated probes against everybody who is enrolled."""


def by_gallery_size(
    enrolment: Enrolment, rule: Rule, threshold: float, sizes: Sequence[int], seed: int = 0
) -> list[GallerySize]:
    """How searches fare as the gallery grows, next to what independent comparisons would give.

    Of each size, that many of the enrolled people are drawn, DRAWS times. Of a search N comparisons
    are decided: one with each sample by the rule "max", one with each subject by "mean".

    Raises DatasetInvalid for a size that is not in 1 … the people enrolled, and without non-mated
    probes.
    """
    enrolled = np.unique(enrolment.gallery_people)
    fmr = _nonmated_fmr(enrolment, rule, threshold)
    random = np.random.default_rng(seed)
    drawn = [_draw(enrolled, size, random) for size in sizes]
    found = iter(search_among(enrolment, rule, [people for each in drawn for people in each]))
    return [_size([next(found) for _ in each], rule, fmr) for each in drawn]


def _draw(enrolled: People, size: int, random: np.random.Generator) -> list[People]:
    """The people of each gallery of this size; everybody is drawn once."""
    if not 1 <= size <= len(enrolled):
        raise DatasetInvalid(
            f"a gallery of {size} people cannot be drawn from the {len(enrolled)} enrolled"
        )
    draws = DRAWS if size < len(enrolled) else 1
    return [random.choice(enrolled, size, replace=False) for _ in range(draws)]


def _size(drawn: Sequence[Searches], rule: Rule, fmr: float) -> GallerySize:
    comparisons = [one.samples if rule == "max" else one.subjects for one in drawn]
    predicted = float(np.mean([best_of(fmr, number) for number in comparisons]))
    return GallerySize(Searches.together(drawn), predicted)


def _nonmated_fmr(enrolment: Enrolment, rule: Rule, threshold: float) -> float:
    """Of one comparison: with a sample by the rule "max", with a subject by "mean"."""
    samples = np.arange(len(enrolment.gallery))
    columns = samples if rule == "max" else enrolment.gallery_people
    mated = enrolment.mated
    if mated.all():
        raise DatasetInvalid(NO_NONMATED)
    matched = compared = 0
    for part, fused in _blocks(replace(enrolment, gallery_people=columns), rule):
        nonmated = fused[~mated[part]]
        matched += int((nonmated >= np.float32(threshold)).sum())
        compared += nonmated.size
    return matched / compared


def _blocks(enrolment: Enrolment, rule: Rule) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    """Which probes, and their similarities with each subject."""
    rows = max(1, BLOCK_VALUES // len(enrolment.gallery))
    for start in range(0, len(enrolment.probes), rows):
        part = slice(start, start + rows)
        similarities = enrolment.probes[part] @ enrolment.gallery.T
        refuse_nan(similarities)
        yield part, fuse(similarities, enrolment.gallery_people, rule)


def _intervals(
    shares: Sequence[npt.NDArray[np.bool_]], people: People, seed: int
) -> list[Interval]:
    """Of the share of searches [P] that are true, of each of several; people are drawn once."""
    known, owners, counts = np.unique(people, return_inverse=True, return_counts=True)
    weights = draw(len(known), seed).astype(float)
    searches = counts @ weights
    return [
        interval(np.asarray(np.bincount(owners, weights=true) @ weights / searches), len(known))
        for true in shares
    ]
