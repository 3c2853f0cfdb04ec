"""Folders that say who is enrolled and who is searched for, instead of a draw.

gallery     their people are enrolled, with every picture that can be used
probes      searches; of a person of the gallery they are mated, of anybody else a stranger's
strangers   more searches, of people of whom none is in the gallery
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mien import dataset
from mien.dataset import Person
from mien.errors import DatasetInvalid
from mien.evaluation.acquisition import Picture, acquisition, pictures_of
from mien.evaluation.contract import FolderOfRole, Role
from mien.evaluation.listing import listing
from mien.evaluation.samples import Samples
from mien.matching.enrolment import Enrolment

Folders = Mapping[Role, Path]


def open_folders(folders: Folders) -> tuple[Picture, ...]:
    """The pictures of "gallery", "probes", and "strangers" if there is such a folder.

    Raises DatasetInvalid: as `dataset.scan`; a folder is named twice; nobody of the gallery is
    searched for, or no stranger; a stranger is in the gallery.
    """
    _check_apart(folders)
    people = {role: dataset.scan(path) for role, path in folders.items()}
    _check_people(folders, {role: {one.name for one in found} for role, found in people.items()})
    return tuple(picture for role, found in people.items() for picture in _pictures(role, found))


def enrolment(samples: Samples) -> Enrolment:
    """The gallery and the searches. Whoever could not be enrolled is not searched for either.

    Raises DatasetInvalid if no picture of the gallery could be used.
    """
    numbers = samples.person_numbers
    enrolled = samples.has_role("gallery")
    gallery = samples.of_role("gallery")
    failed = gallery.everybody - set(gallery.people.tolist())
    searched = ~enrolled & ~np.isin(samples.people, sorted(failed))
    return Enrolment(
        samples.vectors[enrolled], numbers[enrolled], samples.vectors[searched], numbers[searched]
    )


def acquired(samples: Samples, folders: Folders) -> list[FolderOfRole] | None:
    """What failed in each folder; None without such folders."""
    found = []
    for role, path in folders.items():
        counts = acquisition(samples.of_role(role))
        if counts is None:
            raise TypeError(f"the failures of {path} were not recorded")
        found.append(FolderOfRole(role=role, name=path.resolve().name, acquisition=counts))
    return found or None


def _pictures(role: Role, people: list[Person]) -> list[Picture]:
    return [Picture(one.person, one.path, role) for one in pictures_of(people)]


def _check_apart(folders: Folders) -> None:
    seen: dict[Path, Role] = {}
    for role, path in folders.items():
        other = seen.setdefault(path.resolve(), role)
        if other != role:
            raise DatasetInvalid(
                f"{path} is the folder of the {other} and of the {role}: a picture would be "
                "searched for in a gallery that holds it; name two folders"
            )


def _check_people(folders: Folders, names: Mapping[Role, set[str]]) -> None:
    gallery, probes = names["gallery"], names["probes"]
    strangers = names.get("strangers", set())
    if both := gallery & strangers:
        raise DatasetInvalid(
            f"{_some(both)} of {folders['strangers']} is in the gallery {folders['gallery']} too; "
            "rename the folder if it is somebody else, or take it out"
        )
    if not gallery & probes:
        raise DatasetInvalid(
            f"nobody of {folders['probes']} is in {folders['gallery']}: it has {_some(probes)}, "
            f"and the gallery {_some(gallery)}; one person's folder has the same name in both"
        )
    if not (probes | strangers) - gallery:
        raise DatasetInvalid(
            f"everybody of {folders['probes']} is in {folders['gallery']}, so that there is no "
            "stranger and no FPIR; name a folder of other people with --strangers"
        )


def _some(names: Iterable[str]) -> str:
    return listing(repr(name) for name in names)
