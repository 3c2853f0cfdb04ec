"""A folder of people to arrays of crops, and the split into people of training and validation."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.dataset import read_file, scan
from mien.errors import DatasetInvalid
from mien.vision.crops import crop
from mien.vision.images import RGB
from mien_training.config.recipe import Crop
from mien_training.difference_hash import Hash, Hashes, difference_hash

Images: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [N, H, W, 3], RGB."""
Labels: TypeAlias = npt.NDArray[np.int64]
"""int64 [N], each from 0 to the number of people less one, without a gap."""

NAMED = 5
"""People that a message names before it says how many more there are."""


@dataclass(frozen=True)
class Picture:
    """One picture as read."""

    name: str
    """"person/file"."""
    label: int
    crop: RGB
    sha256: bytes
    """Of the file."""
    hash: Hash
    """Of the crop, by what it looks like."""

    @classmethod
    def of(cls, path: Path, label: int, content: bytes, scaled: RGB) -> "Picture":
        return cls(
            name=f"{path.parent.name}/{path.name}",
            label=label,
            crop=scaled,
            sha256=hashlib.sha256(content).digest(),
            hash=difference_hash(scaled),
        )


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
    """A folder as read. `names`, `sha256s` and `hashes` are of the pictures in `crops`."""

    crops: Crops
    digest: str
    """SHA-256 of all names and files."""
    names: tuple[str, ...]
    """"person/file"."""
    sha256s: tuple[bytes, ...]
    hashes: Hashes
    unreadable: tuple[str, ...]
    """For each picture that cannot be read, its path and what is wrong."""
    single: tuple[str, ...]
    """People with one picture."""

    def refuse_unusable(self, folder: Path) -> None:
        """Raises DatasetInvalid: pictures that cannot be read, people with a single picture."""
        if self.unreadable:
            others = len(self.unreadable) - 1
            more = f" (and {others} more cannot be read)" if others else ""
            raise DatasetInvalid(f"{self.unreadable[0]}{more}")
        if self.single:
            people = shortened([repr(name) for name in self.single], NAMED)
            raise DatasetInvalid(
                f"{folder}: a single picture of {people}; add a second one or take the folder away"
            )


def shortened(names: Sequence[str], most: int) -> str:
    """The first `most` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def load(folder: Path, size: Crop) -> Data:
    """Read every picture of a folder of people, scaled to the size of a crop.

    Raises DatasetInvalid: what `mien.dataset.scan` and `read` refuse, fewer than two people, or
    people with a single picture.
    """
    data = gather(folder, size)
    data.refuse_unusable(folder)
    return data


def gather(folder: Path, size: Crop) -> Data:
    """As `load`, but pictures that cannot be read are left out and told of.

    Raises DatasetInvalid: what `mien.dataset.scan` refuses, or fewer than two people.
    """
    people = scan(folder)
    if len(people) < 2:
        raise DatasetInvalid(
            f"{folder} has one person only, {people[0].name!r}; telling people apart needs two"
        )
    digest = hashlib.sha256()
    pictures: list[Picture] = []
    unreadable: list[str] = []
    for label, path in [(n, path) for n, person in enumerate(people) for path in person.pictures]:
        try:
            content, picture = read_file(path)
        except DatasetInvalid as error:
            unreadable.append(str(error))
            continue
        scaled = crop(picture, size.height, size.width)
        pictures.append(Picture.of(path, label, content, scaled))
        _add(digest, pictures[-1].name.encode())
        _add(digest, content)
    if not pictures:
        raise DatasetInvalid(unreadable[0])
    return Data(
        crops=Crops(
            people=tuple(person.name for person in people),
            images=np.stack([picture.crop for picture in pictures]),
            labels=np.asarray([picture.label for picture in pictures], dtype=np.int64),
        ),
        digest=digest.hexdigest(),
        names=tuple(picture.name for picture in pictures),
        sha256s=tuple(picture.sha256 for picture in pictures),
        hashes=np.stack([picture.hash for picture in pictures]),
        unreadable=tuple(unreadable),
        single=tuple(person.name for person in people if len(person.pictures) == 1),
    )


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


def _add(digest: "hashlib._Hash", content: bytes) -> None:
    """Lengths are hashed too, so that no two lists of contents run together to one."""
    digest.update(len(content).to_bytes(8, "little"))
    digest.update(content)
