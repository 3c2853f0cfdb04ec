"""Where samples go: the gallery of a server, or of a data directory that no server has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from mien.enrolling.job import Answer, Job
from mien.v1 import gallery_pb2, match_pb2


class Place(Protocol):
    """One gallery, in the contract's messages."""

    def gallery(self) -> gallery_pb2.Gallery:
        """As it is now. Raises GalleryNotFound."""

    def subject(self, subject_id: str) -> gallery_pb2.Subject | None:
        """With its samples; None if it is not there."""

    def enroll(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, Answer]]:
        """What became of each, in order, when it is durable.

        Takes the next only while there is room for it, so that whoever gives them waits.
        """

    def describe(
        self, subject_id: str, display_name: str, labels: Mapping[str, str], consent_ref: str
    ) -> None:
        """Replace what is said of a subject."""

    def delete(self, sample_ids: Sequence[str]) -> None:
        """Forget samples; those that are not there are no error."""

    def duplicates(
        self, request: match_pb2.FindDuplicatesRequest
    ) -> Iterator[match_pb2.FindDuplicatesResponse]:
        """As the contract's FindDuplicates. Raises NotCalibrated and UnsupportedOperatingPoint."""
