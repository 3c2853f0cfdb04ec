"""A folder of people to arrays of crops, and the split into people of training and validation."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.dataset import Person, read, scan
from mien.errors import DatasetInvalid
from mien.vision.crops import crop
from mien_training.config.recipe import Crop

Images: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [N, H, W, 3], RGB."""
Labels: TypeAlias = npt.NDArray[np.int64]
"""int64 [N], each from 0 to the number of people less one, without a gap."""

NAMED = 5
"""People that a message names before it says how many more there are."""


@dataclass(frozen=True)
class Crops:
    """People and their pictures; `labels` are indices into `people`."""

    people: tuple[str, ...]
    images: Images
    labels: Labels

    def of(self, people: Collection[str]) -> "Crops":
        """Only these people, labelled anew in the same order."""
        kept = [label for label, name in enumerate(self.people) if name in people]
        rows = np.isin(self.labels, kept)
        return Crops(
            people=tuple(self.people[label] for label in kept),
            images=self.images[rows],
            labels=np.searchsorted(np.asarray(kept, dtype=np.int64), self.labels[rows]),
        )


@dataclass(frozen=True)
class Data:
    """A folder as read: its crops and the SHA-256 of its names and pictures."""

    crops: Crops
    digest: str


def load(folder: Path, size: Crop) -> Data:
    """Read every picture of a folder of people, scaled to the size of a crop.

    Raises DatasetInvalid: what `mien.dataset.scan` and `read` refuse, fewer than two people, or
    people with a single picture.
    """
    people = scan(folder)
    _check_counts(folder, people)
    digest = hashlib.sha256()
    images = []
    for person in people:
        for path in person.pictures:
            images.append(crop(read(path), size.height, size.width))
            _add(digest, f"{person.name}/{path.name}".encode())
            _add(digest, path.read_bytes())
    labels = np.repeat(np.arange(len(people)), [len(person.pictures) for person in people])
    names = tuple(person.name for person in people)
    return Data(Crops(names, np.stack(images), labels.astype(np.int64)), digest.hexdigest())


def split(people: Sequence[str], share: float, seed: int) -> tuple[tuple[str, ...], ...]:
    """Draw the people of validation; returns those of training and those of validation, sorted.

    A share above 0 takes at least two people, since one alone has no impostors.

    Raises DatasetInvalid: fewer than two people would be left for training.
    """
    count = max(2, round(share * len(people))) if share > 0 else 0
    if len(people) - count < 2:
        raise DatasetInvalid(
            f"of {len(people)} people, validation_people={share} takes {count} and leaves "
            f"{len(people) - count} for training, which needs 2; add people or set "
            "validation_people=0"
        )
    drawn = np.random.default_rng(seed).permutation(len(people))[:count]
    validation = {people[index] for index in drawn}
    return tuple(sorted(set(people) - validation)), tuple(sorted(validation))


def _check_counts(folder: Path, people: Sequence[Person]) -> None:
    if len(people) < 2:
        raise DatasetInvalid(
            f"{folder} has one person only, {people[0].name!r}; telling people apart needs two"
        )
    single = [person.name for person in people if len(person.pictures) == 1]
    if single:
        more = f" and {len(single) - NAMED} more" if len(single) > NAMED else ""
        raise DatasetInvalid(
            f"{folder}: a single picture of {', '.join(map(repr, single[:NAMED]))}{more}; "
            "add a second one or take the folder away"
        )


def _add(digest: "hashlib._Hash", content: bytes) -> None:
    """Lengths are hashed too, so that no two lists of contents run together to one."""
    digest.update(len(content).to_bytes(8, "little"))
    digest.update(content)
