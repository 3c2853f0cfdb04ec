"""What a gallery is told and what it answers with. Every moment is aware, in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mien.matching.metrics import Vectors


@dataclass(frozen=True)
class Retention:
    """How long a gallery keeps people; None is for ever.

    A sample goes `max_age` after it was enrolled; a subject goes when that long has passed since it
    was last matched, or since it was created if it never was.
    """

    max_age: timedelta | None = None
    since_last_match: timedelta | None = None


@dataclass(frozen=True)
class GalleryInfo:
    """A gallery with its counts."""

    gallery_id: str
    model_fingerprint: str
    dim: int
    subjects: int
    samples: int
    revision: int
    created: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    retention: Retention = Retention()


@dataclass(frozen=True)
class Quality:
    """Of a sample's picture, as in the contract; None is not measured. Warnings name reasons."""

    score: float | None = None
    sharpness: float | None = None
    brightness: float | None = None
    min_side_px: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """What is said when a sample is enrolled.

    Of its subject: `display_name`, `labels`, `consent_ref`; what is given overwrites what is known.
    Of the sample: `source` (free text, such as a file's name), `quality`, and when it `expires`.
    """

    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    consent_ref: str = ""
    source: str = ""
    quality: Quality | None = None
    expires: datetime | None = None

    @property
    def describes(self) -> bool:
        """Whether it says anything of the subject."""
        return bool(self.display_name or self.labels or self.consent_ref)


NOTHING = About()


@dataclass(frozen=True, eq=False)
class Enrolment:
    """A sample to be enrolled: `vector` is float32 [D] of unit norm, the hash in lower case."""

    subject_id: str
    vector: Vectors
    content_sha256: str
    about: About = NOTHING
    request_id: str = ""


@dataclass(frozen=True)
class Sample:
    """One thing that is known of a subject's look."""

    sample_id: str
    content_sha256: str
    created: datetime
    source: str = ""
    quality: Quality | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class Subject:
    """A person, samples oldest first. `last_match` may be a minute late."""

    subject_id: str
    display_name: str
    labels: Mapping[str, str]
    consent_ref: str
    created: datetime
    expires: datetime | None
    last_match: datetime | None
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class SubjectChange:
    """What to change of a subject: None leaves it. Empty texts and labels clear.

    `labels` replace all of them. `keep_for_ever` clears `expires`.
    """

    display_name: str | None = None
    labels: Mapping[str, str] | None = None
    consent_ref: str | None = None
    expires: datetime | None = None
    keep_for_ever: bool = False


@dataclass(frozen=True)
class Changed:
    """A subject after a change, and the gallery's revision with it."""

    subject: Subject
    revision: int


@dataclass(frozen=True)
class Enrolled:
    """A sample as it is kept. `already_existed`: the subject had that content, nothing changed."""

    sample: Sample
    already_existed: bool
    revision: int


@dataclass(frozen=True)
class Deletion:
    """How many samples went, the gallery's revision without them, and ids that were not there."""

    samples: int
    revision: int
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expired:
    """What fell due in a gallery and went, and the gallery's revision without it."""

    gallery_id: str
    subjects: int
    samples: int
    revision: int


@dataclass(frozen=True)
class Request:
    """A request that the ledger remembers: when, what it asked for, and its answer as JSON."""

    method: str
    at: datetime
    answer: str


@dataclass(frozen=True, eq=False)
class SubjectExport:
    """Everything that is held about a person: vectors float32 [n, D] in the order of samples."""

    gallery_id: str
    model_fingerprint: str
    subject: Subject
    vectors: Vectors
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a store: a stable name, and a sentence."""

    what: str
    message: str


@dataclass(frozen=True)
class Check:
    """What a check of the store counted, and what it found wrong."""

    galleries: int
    subjects: int
    samples: int
    free_slots: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Stamp:
    """What a snapshot is of."""

    gallery_id: str
    model_fingerprint: str
    dim: int
    revision: int
    subjects: int
    samples: int
    taken: datetime


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
