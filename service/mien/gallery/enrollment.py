"""The part of `Galleries` by which samples come in."""

from collections.abc import Sequence

import numpy as np

from mien import stages
from mien.errors import InvalidArgument
from mien.gallery.about import check_about, check_sha256
from mien.gallery.directory import Directory
from mien.gallery.embedding import check_vector, check_vectors
from mien.gallery.ids import check_id
from mien.gallery.records import NOTHING, About, Enrolled, Enrolment
from mien.gallery.store.tables.ledger import check_request_id
from mien.matching.metrics import Vectors


class Enrollment(Directory):
    """Enrolling one sample, or many at once."""

    def enroll(  # noqa: PLR0913 - what a sample is made of
        self,
        gallery_id: str,
        subject_id: str,
        vector: Vectors,
        model_fingerprint: str,
        content_sha256: str,
        *,
        about: About = NOTHING,
        request_id: str = "",
        validate_only: bool = False,
    ) -> Enrolled:
        """Keep float32 [D] of unit norm as a sample of a subject, new or known.

        `content_sha256` is in lower case. Content that the subject has already changes nothing, so
        a call may be repeated. With `validate_only` nothing is kept, and the answer is what it
        would be, with an empty sample id if the sample would be new.

        Raises ModelMismatch, InvalidEmbedding, InvalidRequest and RequestIdReused.
        """
        item = Enrolment(subject_id, vector, content_sha256, about, request_id)
        (outcome,) = self._enrol(gallery_id, [item], model_fingerprint, keep=not validate_only)
        if isinstance(outcome, InvalidArgument):
            raise outcome
        return outcome

    def enroll_many(
        self, gallery_id: str, items: Sequence[Enrolment], model_fingerprint: str
    ) -> list[Enrolled]:
        """Keep samples in one transaction and one revision: all of them, or none.

        Raises as `enroll`, of the first item that is refused, and tells its position.
        """
        outcomes = self._enrol(gallery_id, items, model_fingerprint, partly=False)
        return [each for each in outcomes if isinstance(each, Enrolled)]

    def enroll_each(
        self,
        gallery_id: str,
        items: Sequence[Enrolment],
        model_fingerprint: str,
        *,
        validate_only: bool = False,
    ) -> list[Enrolled | InvalidArgument]:
        """Keep samples in one transaction and one revision: those that may be kept.

        What is wrong with an item is its outcome. `validate_only` is as of `enroll`. Raises
        ModelMismatch.
        """
        return self._enrol(gallery_id, items, model_fingerprint, keep=not validate_only)

    @stages.timed("enroll")
    def _enrol(
        self,
        gallery_id: str,
        items: Sequence[Enrolment],
        model_fingerprint: str,
        *,
        partly: bool = True,
        keep: bool = True,
    ) -> list[Enrolled | InvalidArgument]:
        with self._change:
            gallery = self._gallery(gallery_id)
            gallery.check_model(model_fingerprint)
            refused = _refused(items, gallery.dim)
            if refused and not partly:
                position, error = min(refused.items())
                raise type(error)(f"item {position}: {error}")
            good = [position for position in range(len(items)) if position not in refused]
            chosen = [items[position] for position in good]
            added = self._store.enrol(gallery_id, chosen, partly=partly, keep=keep)
            if added.keys:
                vectors = np.array([chosen[position].vector for position in added.positions])
                with self._following(gallery):
                    gallery.take(added.keys, added.subjects, vectors, added.revision)
        outcomes = dict(zip(good, added.outcomes, strict=True)) | refused
        return [outcomes[position] for position in range(len(items))]


def _refused(items: Sequence[Enrolment], dim: int) -> dict[int, InvalidArgument]:
    """What is wrong with items, by position."""
    sound = _all_sound([item.vector for item in items], dim)
    refused: dict[int, InvalidArgument] = {}
    for position, item in enumerate(items):
        try:
            check_id("subject", item.subject_id)
            check_sha256(item.content_sha256)
            check_request_id(item.request_id)
            if item.about is not NOTHING:
                check_about(item.about)
            if not sound:
                check_vector(item.vector, dim)
        except InvalidArgument as error:
            refused[position] = error
    return refused


def _all_sound(vectors: Sequence[Vectors], dim: int) -> bool:
    """Whether all may come in, looked at together: much faster than one by one."""
    if not all(each.shape == (dim,) and each.dtype == np.float32 for each in vectors):
        return False
    try:
        check_vectors(np.array(vectors), dim)
    except InvalidArgument:
        return False
    return True
