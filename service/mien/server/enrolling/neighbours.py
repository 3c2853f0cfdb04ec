"""Subjects that a new sample is too alike to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from mien.errors import (
    DuplicateOtherSubject,
    FailedPrecondition,
    InvalidEmbedding,
    InvalidRequest,
)
from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment, Found, Match
from mien.matching.calibration import Calibration, fusion_of
from mien.matching.decision import Decision, TargetFMR, decide
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.server import messages
from mien.v1 import gallery_pb2, match_pb2

NEAR = 5
"""Subjects that are named at most."""

_POLICIES = frozenset(gallery_pb2.DuplicatePolicy.values())
"""Made once: the list is made anew each time that it is asked for."""


@dataclass(frozen=True)
class Watch:
    """At which FMR others are too alike, whether such a sample is refused, and whether that was
    asked for: what was not asked for is left undone where the calibration cannot support it."""

    policy: TargetFMR
    refuses: bool
    asked: bool


def read_watch(request: gallery_pb2.EnrollSampleRequest, default: TargetFMR) -> Watch | None:
    """None if nobody else is to be looked at. Raises InvalidRequest."""
    policy, fmr = request.duplicates, request.duplicate_fmr
    if policy not in _POLICIES:
        raise InvalidRequest(f"duplicates is {policy}, which is none of the contract's policies")
    if fmr and not 0 < fmr < 1:
        raise InvalidRequest(f"duplicate_fmr is in (0, 1); {fmr} is not")
    if policy == gallery_pb2.DUPLICATE_POLICY_SKIP_IDENTICAL:
        return None
    return Watch(
        TargetFMR(fmr) if fmr else default,
        refuses=policy == gallery_pb2.DUPLICATE_POLICY_REJECT_OTHER_SUBJECT,
        asked=bool(fmr) or policy != gallery_pb2.DUPLICATE_POLICY_UNSPECIFIED,
    )


@dataclass(frozen=True)
class Near:
    """At most NEAR subjects who are too alike, best first, and by what."""

    matches: Sequence[Match]
    decision: Decision | None


NOBODY = Near((), None)


class Neighbours:
    """Who of a gallery, and of a group of samples that come together, is too alike."""

    def __init__(self, bundle: Bundle, galleries: Galleries) -> None:
        self._fingerprint = bundle.manifest.fingerprint
        self._calibration = bundle.calibration
        self._galleries = galleries

    def of(self, gallery_id: str, items: Sequence[Enrolment]) -> "Group":
        """Samples that come together, looked for in the gallery all at once."""
        searched = self._searched(gallery_id, items) if self._calibration else []
        return Group(gallery_id, items, searched, self._calibration, self._galleries)

    def _searched(
        self, gallery_id: str, items: Sequence[Enrolment]
    ) -> list[Found | InvalidEmbedding]:
        try:
            return list(self._search(gallery_id, np.stack([each.vector for each in items])))
        except InvalidEmbedding as error:
            if len(items) == 1:
                return [error]
        return [found for each in items for found in self._searched(gallery_id, [each])]

    def _search(self, gallery_id: str, vectors: Vectors) -> list[Found]:
        fusion = fusion_of(self._calibration)
        return self._galleries.search_each(gallery_id, vectors, self._fingerprint, NEAR + 1, fusion)


class Group:
    """Samples that come together, and whom they are alike to; `searched` is of each, in order."""

    def __init__(
        self,
        gallery_id: str,
        items: Sequence[Enrolment],
        searched: Sequence[Found | InvalidEmbedding],
        calibration: Calibration | None,
        galleries: Galleries,
    ) -> None:
        self.gallery_id, self.items, self._searched = gallery_id, items, searched
        self._calibration, self._galleries = calibration, galleries
        self._vectors = np.stack([each.vector for each in items])
        self._decide = lru_cache(partial(decide, calibration=calibration))
        """Most of a group ask for the same."""

    def near(self, at: int, watch: Watch, before: Sequence[int]) -> Near:
        """Subjects other than an item's, of the gallery and of the items `before`.

        Raises InvalidEmbedding, and NotCalibrated and UnsupportedOperatingPoint if that was asked.
        """
        try:
            by_sample = self._decide(watch.policy)
            found = self._searched[at]
            if isinstance(found, InvalidEmbedding):
                raise found
            by_subject = self._decide(watch.policy, samples_per_subject=found.samples_per_subject)
        except FailedPrecondition:
            if watch.asked:
                raise
            return NOBODY
        near = self._together(at, before, by_sample)
        for each in found.matches:
            known = near.get(each.subject_id, each)
            if by_subject.accepts(each.similarity) and each.similarity >= known.similarity:
                near[each.subject_id] = each
        near.pop(self.items[at].subject_id, None)
        order = sorted(near.values(), key=lambda each: (-each.similarity, each.subject_id))
        return Near(order[:NEAR], by_subject)

    def written(self, near: Sequence[Near]) -> list[list[match_pb2.Candidate]]:
        """With their labels, which are read for all of them together."""
        named = {match.subject_id for each in near for match in each.matches}
        labels = self._galleries.labels(self.gallery_id, named) if named else {}
        return [
            messages.write_candidates(each.matches, each.decision, labels) if each.decision else []
            for each in near
        ]

    def _together(self, at: int, before: Sequence[int], decision: Decision) -> dict[str, Match]:
        """The best sample of each subject among those that came before and are too alike."""
        others = np.asarray(before, np.int64)
        similarities = self._vectors[others] @ self._vectors[at]
        alike = np.flatnonzero(similarities >= decision.threshold)
        near: dict[str, Match] = {}
        for place in alike[np.argsort(similarities[alike], kind="stable")].tolist():
            subject_id = self.items[before[place]].subject_id
            near[subject_id] = Match(subject_id, "", min(float(similarities[place]), 1.0))
        return near


def refused(item: Enrolment, near: Sequence[Match], watch: Watch) -> DuplicateOtherSubject:
    """What is wrong with a sample that is too alike to the first of these."""
    return DuplicateOtherSubject(
        f"the sample of {item.subject_id!r} has similarity {near[0].similarity:.4f} to "
        f"subject {near[0].subject_id!r}, which is too alike at an FMR of {watch.policy.rate:g}; "
        "enrol it there, merge the two, ask for a smaller duplicate_fmr, or only to be warned"
    )
