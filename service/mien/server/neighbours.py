"""Subjects that a new sample is too alike to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.errors import DuplicateOtherSubject, FailedPrecondition, InvalidRequest
from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment, Match
from mien.matching.calibration import fusion_of
from mien.matching.decision import Decision, TargetFMR, decide
from mien.model.bundle import Bundle
from mien.server import messages
from mien.v1 import gallery_pb2, match_pb2

NEAR = 5
"""Subjects that are named at most."""


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
    if policy not in gallery_pb2.DuplicatePolicy.values():
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


class Neighbours:
    """Who of a gallery, and of a group of samples that come together, is too alike."""

    def __init__(self, bundle: Bundle, galleries: Galleries) -> None:
        self._fingerprint = bundle.manifest.fingerprint
        self._calibration = bundle.calibration
        self._galleries = galleries

    def of(
        self, gallery_id: str, item: Enrolment, watch: Watch, before: Sequence[Enrolment] = ()
    ) -> list[match_pb2.Candidate]:
        """At most NEAR other subjects, best first, enrolled or of the items that come `before`.

        Raises NotCalibrated and UnsupportedOperatingPoint if it was asked for.
        """
        found = self._galleries.search(
            gallery_id,
            item.vector,
            self._fingerprint,
            NEAR + 1,
            fusion_of(self._calibration),
        )
        try:
            by_subject = decide(
                watch.policy, self._calibration, samples_per_subject=found.samples_per_subject
            )
            by_sample = decide(watch.policy, self._calibration)
        except FailedPrecondition:
            if watch.asked:
                raise
            return []
        near = {each.subject_id: each for each in _together(item, before, by_sample)}
        near |= {
            each.subject_id: each
            for each in found.matches
            if by_subject.accepts(each.similarity)
            and each.similarity >= near.get(each.subject_id, each).similarity
        }
        near.pop(item.subject_id, None)
        return self._candidates(gallery_id, list(near.values()), by_subject)

    def _candidates(
        self, gallery_id: str, near: list[Match], decision: Decision
    ) -> list[match_pb2.Candidate]:
        if not near:
            return []
        near.sort(key=lambda each: (-each.similarity, each.subject_id))
        labels = self._galleries.labels(gallery_id, [each.subject_id for each in near[:NEAR]])
        return messages.write_candidates(near[:NEAR], decision, labels)


def refused(
    item: Enrolment, near: Sequence[match_pb2.Candidate], watch: Watch
) -> DuplicateOtherSubject:
    """What is wrong with a sample that is too alike to the first of these."""
    return DuplicateOtherSubject(
        f"the sample of {item.subject_id!r} has similarity {near[0].score.similarity:.4f} to "
        f"subject {near[0].subject_id!r}, which is too alike at an FMR of {watch.policy.rate:g}; "
        "enrol it there, merge the two, ask for a smaller duplicate_fmr, or only to be warned"
    )


def _together(item: Enrolment, before: Sequence[Enrolment], decision: Decision) -> list[Match]:
    """The best sample of each subject among those that came before and are too alike."""
    best: dict[str, float] = {}
    if before:
        similarities = np.stack([each.vector for each in before]) @ item.vector
        for each, similarity in zip(before, similarities.tolist(), strict=True):
            best[each.subject_id] = max(similarity, best.get(each.subject_id, -1.0))
    return [
        Match(subject_id, "", min(similarity, 1.0))
        for subject_id, similarity in best.items()
        if decision.accepts(similarity)
    ]
