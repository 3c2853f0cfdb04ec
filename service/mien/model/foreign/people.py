"""The folder of people that an import is tried and calibrated on.

A picture that cannot be used is left out and told of; the rest counts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.dataset import Person, digest, scan
from mien.errors import DatasetInvalid, InvalidArgument
from mien.matching.metrics import Vectors
from mien.model.foreign.trial import Crops, People
from mien.model.pipeline import Pipeline
from mien.model.reading import embed_files
from mien.vision.cropper import Cropper
from mien.vision.images import RGB

MOST_PEOPLE = 100
MOST_PICTURES = 6
"""On so many the ways are tried, some twenty of them; the calibration takes the whole folder."""
NAMED = 5
"""Pictures that a message names before it says how many more there are."""


@dataclass(frozen=True)
class Unusable:
    """A picture without a vector: `<person>/<file>`, and the reason, as in mien.errors."""

    name: str
    reason: str


@dataclass(frozen=True)
class Embedded:
    """Vectors [N, D] of the pictures that can be used, whose each is [N], and the others."""

    vectors: Vectors
    people: People
    unusable: tuple[Unusable, ...]
    dataset_digest: str
    """Of the files that could be used."""

    @property
    def pictures(self) -> int:
        """All of the folder."""
        return len(self.people) + len(self.unusable)

    def left_out(self) -> str | None:
        """A sentence without anybody's name; None if nothing was left out."""
        if not self.unusable:
            return None
        reasons = Counter(each.reason for each in self.unusable)
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
        return (
            f"{len(self.unusable):,} of the {self.pictures:,} pictures could not be used and were "
            f"left out: {told}."
        )


def people_of(folder: Path | None) -> list[Person]:
    """Those of a folder, without opening a picture; nobody without one.

    Raises DatasetInvalid: no folder of people, fewer than two, or nobody with a second picture.
    """
    people = scan(folder) if folder else []
    if folder and len(people) < 2:
        raise DatasetInvalid(f"{folder} has 1 person; error rates need two people at least")
    if folder and all(len(each.pictures) < 2 for each in people):
        raise DatasetInvalid(
            f"{folder} has {len(people)} people, none with a second picture; error rates need two "
            "pictures of one person at least"
        )
    return people


def some(people: Sequence[Person], cropper: Cropper) -> tuple[Crops, People]:
    """Crops of some people who have two usable pictures or more, always the same ones."""
    order = np.random.default_rng(0).permutation(len(people)).tolist()
    taken: list[tuple[int, list[RGB]]] = []
    for label in order:
        crops = list(_usable(people[label], cropper))
        if len(crops) >= 2:
            taken.append((label, crops))
        if len(taken) == MOST_PEOPLE:
            break
    taken.sort(key=lambda each: each[0])
    labels = np.array([label for label, crops in taken for _ in crops], dtype=np.int64)
    crops = [one for _, crops in taken for one in crops]
    return np.array(crops, np.uint8).reshape(-1, *cropper.size, 3), labels


def _usable(person: Person, cropper: Cropper) -> Iterator[RGB]:
    """Up to MOST_PICTURES crops; the calibration tells of what is passed over."""
    found = 0
    for path in person.pictures:
        if found == MOST_PICTURES:
            return
        try:
            (cut,) = cropper.cut(path.read_bytes(), "reject").taken
        except (OSError, InvalidArgument):
            continue
        found += 1
        yield cut.crop


def embed(pipeline: Pipeline, people: Sequence[Person]) -> Embedded:
    """Every picture of everybody.

    Raises DatasetInvalid, naming pictures and reasons, if what is left gives no error rates.
    """
    pictures = [(label, path) for label, each in enumerate(people) for path in each.pictures]
    vectors, labels, used, unusable = [], [], [], []
    outcomes = embed_files(pipeline, [path for _, path in pictures])
    for (label, path), outcome in zip(pictures, outcomes, strict=True):
        if isinstance(outcome, str):
            unusable.append(Unusable(f"{path.parent.name}/{path.name}", outcome))
        else:
            vectors.append(outcome)
            labels.append(label)
            used.append(path)
    counts = Counter(labels)
    if unusable and (len(counts) < 2 or max(counts.values()) < 2):
        raise DatasetInvalid(_too_few(unusable, len(pictures)))
    whose = np.array(labels, dtype=np.int64)
    data = digest(labels, (path.read_bytes() for path in used))
    return Embedded(np.stack(vectors), whose, tuple(unusable), data)


def told(unusable: Sequence[Unusable]) -> str:
    """The first ones by name, with the reason."""
    shown = ", ".join(f"{each.name} ({each.reason})" for each in unusable[:NAMED])
    more = len(unusable) - NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _too_few(unusable: Sequence[Unusable], pictures: int) -> str:
    which = "none of" if len(unusable) == pictures else f"only {pictures - len(unusable):,} of"
    return (
        f"{which} the {pictures:,} pictures can be used, and error rates need two people, and two "
        f"pictures of one of them; mend or replace {told(unusable)}"
    )
