"""A server's gallery as the place where samples go."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from mien.client import Client, enrolment
from mien.client.attempts import Attempts
from mien.enrolling.items import Refusal
from mien.enrolling.job import Answer, Job
from mien.enrolling.options import Options
from mien.errors import ServerUnavailable, SubjectNotFound
from mien.maintenance import Maintenance
from mien.v1 import gallery_pb2, match_pb2, probe_pb2, reason_pb2

ATTEMPTS = 150
"""In a row at a server that is not there, about five minutes: long enough for a restart."""

_MULTI_FACE = {
    "reject": probe_pb2.MULTI_FACE_POLICY_REJECT,
    "largest": probe_pb2.MULTI_FACE_POLICY_LARGEST,
}
_DUPLICATES = {
    "report": gallery_pb2.DUPLICATE_POLICY_UNSPECIFIED,
    "refuse": gallery_pb2.DUPLICATE_POLICY_REJECT_OTHER_SUBJECT,
}

_Reply = TypeVar("_Reply")


class Service:
    """The server decodes, detects and embeds; pictures go there as they are."""

    def __init__(self, client: Client, gallery: str, options: Options) -> None:
        self._client = client
        self._gallery = gallery
        self._options = options

    def create(self) -> None:
        """Raises GalleryExists."""
        self._client.create_gallery(self._gallery)

    def gallery(self) -> gallery_pb2.Gallery:
        return self._client.get_gallery(self._gallery)

    def subject(self, subject_id: str) -> gallery_pb2.Subject | None:
        try:
            return _patiently(lambda: self._client.get_subject(self._gallery, subject_id))
        except SubjectNotFound:
            return None

    def enroll(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, Answer]]:
        """If the server goes away and comes back, the stream goes on where it was."""
        sent: deque[Job] = deque()

        def requests() -> Iterator[gallery_pb2.EnrollSampleRequest]:
            for job in jobs:
                sent.append(job)
                yield self._request(job)

        for response in self._client.enroll_batch(requests(), attempts=ATTEMPTS):
            yield sent.popleft(), _answer(response.response)

    def describe(
        self, subject_id: str, display_name: str, labels: Mapping[str, str], consent_ref: str
    ) -> None:
        _patiently(
            lambda: self._client.update_subject(
                self._gallery,
                subject_id,
                display_name=display_name,
                labels=labels,
                consent_ref=consent_ref,
            )
        )

    def delete(self, sample_ids: Sequence[str]) -> None:
        _patiently(lambda: self._client.delete_samples(self._gallery, sample_ids))

    def duplicates(
        self, request: match_pb2.FindDuplicatesRequest
    ) -> Iterator[match_pb2.FindDuplicatesResponse]:
        return Maintenance(self._client).duplicates(request)

    def _request(self, job: Job) -> gallery_pb2.EnrollSampleRequest:
        options, said = self._options, job.said
        policy = _DUPLICATES[options.other_subject]
        if options.fmr and options.other_subject == "report":
            policy = gallery_pb2.DUPLICATE_POLICY_WARN_OTHER_SUBJECT
        return enrolment(
            self._gallery,
            job.row.subject_id,
            job.content,
            display_name=said.display_name,
            labels=said.labels,
            consent_ref=said.consent_ref,
            source=job.source,
            expires=said.expires,
            duplicates=policy,
            duplicate_fmr=options.fmr,
            multi_face=_MULTI_FACE[options.multi_face],
            validate_only=options.validate_only,
        )


def _patiently(call: Callable[[], _Reply]) -> _Reply:
    """Wait for a server that is away, in the midst of a run, as the stream does."""
    trying = Attempts(safe=True, deadline=None, most=ATTEMPTS)
    while True:
        try:
            return call()
        except ServerUnavailable as error:
            if (pause := trying.pause(error)) is None:
                raise
            time.sleep(pause)


def _answer(response: gallery_pb2.EnrollSampleResponse) -> Answer:
    if not response.HasField("rejected"):
        return response
    first = reason_pb2.Reason.Name(response.rejected.reasons[0])
    return Refusal(first.removeprefix("REASON_"), response.rejected.message)
