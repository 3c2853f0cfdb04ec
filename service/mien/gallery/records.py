"""What a gallery answers with."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class GalleryInfo:
    """A gallery with its counts. `created` is aware, in UTC."""

    gallery_id: str
    model_fingerprint: str
    dim: int
    subjects: int
    samples: int
    revision: int
    created: datetime


@dataclass(frozen=True)
class Sample:
    """One thing that is known of a subject's look. `created` is aware, in UTC."""

    sample_id: str
    content_sha256: str
    created: datetime


@dataclass(frozen=True)
class Enrolled:
    """A sample as it is kept. `already_existed`: the subject had that content, nothing changed."""

    sample: Sample
    already_existed: bool
    revision: int


@dataclass(frozen=True)
class Deletion:
    """How many samples went, and the gallery's revision without them."""

    samples: int
    revision: int


@dataclass(frozen=True)
class Match:
    """A subject, its sample that is most alike, and how alike the subject is, in [-1, 1]."""

    subject_id: str
    sample_id: str
    similarity: float


@dataclass(frozen=True)
class Found:
    """The most alike subjects, best first, of all with `samples` enrolled at `revision`.

    `samples_per_subject` is the number for which error rates should be asked (1 if there are none).
    """

    matches: tuple[Match, ...]
    subjects: int
    samples: int
    samples_per_subject: int
    revision: int
