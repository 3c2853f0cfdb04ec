"""Pictures to samples, and the share of them that failed (ISO/IEC 19795-1, 3.3 and 3.4).

Failure to acquire (FTA): a picture that gives no vector, since it cannot be read or decoded or
shows no usable face. Failure to enrol (FTE): a person none of whose pictures gives one. The error
rates of matching are over the rest.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mien.dataset import Person
from mien.errors import DatasetInvalid
from mien.evaluation.contract import Acquisition, Role
from mien.evaluation.listing import listing
from mien.evaluation.samples import Failure, Samples
from mien.matching.metrics import Vectors
from mien.model.pipeline import Pipeline
from mien.model.reading import embed_files


@dataclass(frozen=True)
class Picture:
    """A file and whose it is; `name` is `<person>/<file>`, after the role of its folder, if any."""

    person: str
    path: Path
    role: Role | None = None

    @property
    def name(self) -> str:
        name = f"{self.person}/{self.path.name}"
        return name if self.role is None else f"{self.role}/{name}"


def pictures_of(people: Sequence[Person]) -> list[Picture]:
    """All pictures of all people, in order."""
    return [Picture(person.name, path) for person in people for path in person.pictures]


def acquire(pipeline: Pipeline, pictures: Sequence[Picture]) -> Samples:
    """Embed every picture; what cannot be read or the pipeline refuses is recorded with its reason.

    Raises DatasetInvalid if no picture at all could be used.
    """
    acquired: list[tuple[Picture, Vectors]] = []
    failures: list[Failure] = []
    name = pipeline.bundle.manifest.name
    outcomes = embed_files(pipeline, [picture.path for picture in pictures])
    told = tqdm(outcomes, total=len(pictures), desc=f"embed {name}", unit="picture", disable=None)
    for picture, outcome in zip(pictures, told, strict=True):
        if isinstance(outcome, str):
            failures.append(Failure(picture.person, picture.name, outcome))
        else:
            acquired.append((picture, outcome))
    return _samples(acquired, failures)


def _samples(acquired: Sequence[tuple[Picture, Vectors]], failures: Sequence[Failure]) -> Samples:
    if not acquired:
        raise DatasetInvalid(
            f"none of the {len(failures):,} pictures could be used: "
            f"{listing(failure.reason for failure in failures)}"
        )
    return Samples(
        vectors=np.stack([vector for _, vector in acquired]),
        people=np.array([picture.person for picture, _ in acquired]),
        names=np.array([picture.name for picture, _ in acquired]),
        failures=tuple(failures),
    )


def acquisition(samples: Samples) -> Acquisition | None:
    """Count what failed; None where nobody recorded it."""
    if samples.failures is None:
        return None
    people = samples.everybody
    pictures = len(samples.names) + len(samples.left_out) + len(samples.failures)
    not_enrolled = sorted(people - samples.usable_people)
    return Acquisition(
        pictures=pictures,
        failures_to_acquire=len(samples.failures),
        failure_to_acquire_rate=len(samples.failures) / pictures,
        people=len(people),
        failures_to_enrol=len(not_enrolled),
        failure_to_enrol_rate=len(not_enrolled) / len(people),
        reasons=dict(sorted(Counter(failure.reason for failure in samples.failures).items())),
        pictures_failed=[failure.name for failure in samples.failures],
        people_failed=not_enrolled,
    )
