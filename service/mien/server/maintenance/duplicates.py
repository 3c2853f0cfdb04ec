"""FindDuplicates: pairs of subjects that are one person, and samples that do not fit theirs."""

from collections.abc import Callable, Iterator
from math import comb

import numpy as np

from mien.errors import InvalidRequest, ModelMismatch
from mien.gallery.everybody import Everybody
from mien.gallery.galleries import Galleries
from mien.matching import duplicates
from mien.matching.calibration import Calibration, fusion_of
from mien.matching.decision import Decision, Policy, RawThreshold, TargetFMR, best_of, decide
from mien.matching.duplicates import Found
from mien.matching.fusion import Rule
from mien.server import messages
from mien.server.paging import page_size
from mien.v1 import match_pb2

MAX_FINDINGS, DEFAULT_FINDINGS = 10_000, 1000


def find_duplicates(
    galleries: Galleries,
    calibration: Calibration | None,
    request: match_pb2.FindDuplicatesRequest,
    default: TargetFMR,
    alive: Callable[[], None],
) -> Iterator[match_pb2.FindDuplicatesResponse]:
    """Everybody is compared first, as of one revision; the answers come then, the summary last.

    Raises InvalidRequest, GalleryNotFound, ModelMismatch (the calibration is of another model than
    the gallery), NotCalibrated and UnsupportedOperatingPoint.
    """
    most = page_size(request.max_findings, DEFAULT_FINDINGS, MAX_FINDINGS)
    policy = _policy(request, default)
    info = galleries.get(request.gallery_id)
    calibration = _fitting(calibration, info.model_fingerprint, policy)
    decide(policy, calibration)  # what can never be decided is refused before the work
    everybody, rule = galleries.everybody(request.gallery_id), fusion_of(calibration)
    decision = _decide(policy, calibration, everybody, rule)
    found = duplicates.find(
        everybody.vectors, everybody.owners, rule, decision.threshold, most=most, alive=alive
    )
    yield from _findings(everybody, found, decision)
    yield match_pb2.FindDuplicatesResponse(summary=_summary(everybody, found, decision))


def _policy(request: match_pb2.FindDuplicatesRequest, default: TargetFMR) -> Policy:
    if not request.HasField("raw_threshold"):
        return TargetFMR(request.target_fmr) if request.target_fmr else default
    if request.target_fmr:
        raise InvalidRequest("target_fmr and raw_threshold exclude each other; give one")
    return RawThreshold(request.raw_threshold)


def _fitting(
    calibration: Calibration | None, model_fingerprint: str, policy: Policy
) -> Calibration | None:
    """The calibration if it is of the gallery's model; without it a raw threshold still decides."""
    if calibration is None or calibration.model_fingerprint == model_fingerprint:
        return calibration
    if isinstance(policy, RawThreshold):
        return None
    raise ModelMismatch(
        f"the gallery is bound to model {model_fingerprint!r}, and the calibration is of "
        f"{calibration.model_fingerprint!r}; take that model's, or give a raw threshold"
    )


def _decide(
    policy: Policy, calibration: Calibration | None, everybody: Everybody, rule: Rule
) -> Decision:
    """At rates that two subjects of this gallery do not exceed on average.

    As in a search: the best of more samples passes a threshold oftener, but less and less so, and
    so subjects of their mean number do; a mean is the less sure the fewer samples it is of.
    """
    if not len(everybody.owners):
        return decide(policy, calibration)
    counts = np.bincount(everybody.owners)
    samples = int(counts.min()) if rule == "mean" else -(-len(everybody.owners) // len(counts))
    return decide(policy, calibration, samples_per_subject=samples, probes=samples)


def _findings(
    everybody: Everybody, found: Found, decision: Decision
) -> Iterator[match_pb2.FindDuplicatesResponse]:
    names, curve = everybody.subject_ids, decision.curve
    for pair in found.pairs:
        yield match_pb2.FindDuplicatesResponse(
            pair=match_pb2.DuplicatePair(
                subject_a=names[pair.a],
                subject_b=names[pair.b],
                score=messages.write_score(pair.similarity, curve),
            )
        )
    for misfit in found.misfits:
        yield match_pb2.FindDuplicatesResponse(
            misfit=match_pb2.Misfit(
                subject_id=names[everybody.owners[misfit.sample]],
                sample_id=everybody.sample_ids[misfit.sample],
                score=messages.write_score(misfit.similarity, curve),
                nearest_subject_id="" if misfit.nearest is None else names[misfit.nearest],
            )
        )


def _summary(
    everybody: Everybody, found: Found, decision: Decision
) -> match_pb2.FindDuplicatesResponse.Summary:
    subjects, measured = len(everybody.subject_ids), decision.measured
    expected = None
    if measured:
        expected = comb(subjects, 2) * best_of(measured.fmr, decision.chances)
    return match_pb2.FindDuplicatesResponse.Summary(
        applied=messages.write_decision(decision),
        gallery_revision=everybody.revision,
        truncated=found.truncated,
        subjects=subjects,
        samples=len(everybody.sample_ids),
        expected_false_pairs=expected,
    )
