"""What an answer rests on."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from mien.errors import SubjectNotFound
from mien.gallery.galleries import Galleries
from mien.gallery.records import Match
from mien.matching.calibration import fusion_of
from mien.matching.decision import Decision
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.v1 import decision_pb2, probe_pb2

Side: TypeAlias = tuple[probe_pb2.Probe, Vectors]
"""What was sent, and its vectors [n, D]."""


class Explanations:
    """The winning sample, the nearest other subject, and the margins."""

    def __init__(self, bundle: Bundle, galleries: Galleries) -> None:
        self._fingerprint = bundle.manifest.fingerprint
        self._fusion = fusion_of(bundle.calibration)
        self._galleries = galleries

    def of_search(
        self, gallery_id: str, probe: Vectors, matches: Sequence[Match], decision: Decision
    ) -> decision_pb2.Explanation:
        """Of float32 [n, D] and the subjects that were found, best first; of two where there are.

        Empty if nobody was found.
        """
        if not matches:
            return decision_pb2.Explanation()
        best = matches[0]
        explanation = decision_pb2.Explanation(
            winning_sample_id=best.sample_id,
            above_threshold=best.similarity - decision.threshold,
        )
        alone = self._samples(gallery_id, best.subject_id, probe).get(best.sample_id)
        if alone is not None:
            explanation.winning_similarity = alone
        _add_other(explanation, best.similarity, matches[1:])
        return explanation

    def of_comparison(
        self, a: Side, b: Side, similarity: float, decision: Decision
    ) -> decision_pb2.Explanation:
        """Of two that were compared.

        Of an enrolled one, `b` before `a`, it tells the winning sample, and who else of its gallery
        is most like the other one.
        """
        explanation = decision_pb2.Explanation(above_threshold=similarity - decision.threshold)
        enrolled, probe = (b, a) if b[0].WhichOneof("source") == "subject" else (a, b)
        if enrolled[0].WhichOneof("source") != "subject":
            return explanation
        named = enrolled[0].subject
        samples = self._samples(named.gallery_id, named.subject_id, probe[1])
        if samples:
            winner = max(samples, key=samples.__getitem__)
            explanation.winning_sample_id = winner
            explanation.winning_similarity = samples[winner]
        others = self._others(named, probe)
        _add_other(explanation, similarity, others)
        return explanation

    def _samples(self, gallery_id: str, subject_id: str, probe: Vectors) -> dict[str, float]:
        """How alike each sample of a subject is, by its id; none if the subject is gone by now."""
        try:
            ids, vectors = self._galleries.looks(gallery_id, subject_id)
        except SubjectNotFound:
            return {}
        each = vectors @ probe.T
        fused = each.max(axis=1) if self._fusion == "max" else each.mean(axis=1)
        return dict(zip(ids, np.clip(fused, -1, 1).tolist(), strict=True))

    def _others(self, named: probe_pb2.SubjectRef, probe: Side) -> list[Match]:
        """Subjects of the gallery beside those that were compared, most alike first."""
        compared = {named.subject_id}
        if probe[0].subject.gallery_id == named.gallery_id:
            compared.add(probe[0].subject.subject_id)
        found = self._galleries.search(
            named.gallery_id, probe[1], self._fingerprint, len(compared) + 1, self._fusion
        )
        return [match for match in found.matches if match.subject_id not in compared]


def _add_other(
    explanation: decision_pb2.Explanation, similarity: float, others: Sequence[Match]
) -> None:
    if others:
        explanation.nearest_other_subject_id = others[0].subject_id
        explanation.margin = similarity - others[0].similarity
