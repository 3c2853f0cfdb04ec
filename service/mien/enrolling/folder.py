"""A folder of people as a source: `<folder>/<person>/…/<picture>`, a directory at a time."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from mien.dataset import check_names
from mien.enrolling.items import Entry, Item, Refusal, Unusable
from mien.errors import DatasetInvalid
from mien.vision.images import SUFFIXES

_Identity: TypeAlias = tuple[int, int]


def scan(folder: Path) -> Iterator[Item]:
    """The pictures of every person, in order of names, without opening one.

    Only the names in one directory, and in those above it, are held. Whatever lies deeper in a
    person's folder is the person's. Symbolic links are followed, but not in a circle. Hidden files
    and folders are not looked at; everything else that is no picture is told of.

    Raises DatasetInvalid: the folder is missing, has nobody in it, or two people have one name
    (letter case and Unicode composition aside).
    """
    if not folder.is_dir():
        raise DatasetInvalid(f"{folder} is no folder")
    names = _names(folder)
    people = [name for name in names if (folder / name).is_dir()]
    if not people:
        raise DatasetInvalid(
            f"{folder} has no people in it; expected {folder}/<person>/<picture>.jpg"
        )
    check_names(folder, people)
    return _people(folder, names)


def only_person(folder: Path) -> Path | None:
    """The folder of the only person, if there is one who has pictures only in folders deeper."""
    people = [folder / name for name in _names(folder) if (folder / name).is_dir()]
    if len(people) != 1:
        return None
    try:
        inside = [people[0] / name for name in _names(people[0])]
    except OSError:
        return None  # the run tells of it
    folders = sum(path.is_dir() for path in inside)
    pictures = any(path.suffix.lower() in SUFFIXES and not path.is_dir() for path in inside)
    return people[0] if folders > 1 and not pictures else None


def _people(folder: Path, names: list[str]) -> Iterator[Item]:
    root = _identity(folder)
    for name in names:
        if (folder / name).is_dir():
            yield from _person(folder, name, root)
        else:
            yield _passed_over(name, "", "NOT_IN_A_FOLDER")


def _person(folder: Path, name: str, root: _Identity) -> Iterator[Item]:
    found = False
    for item in _inside(folder, name, name, (root,)):
        found |= isinstance(item, Entry) or item.key == name  # which says why there is nothing
        yield item
    if not found:
        expected = ", ".join(sorted(SUFFIXES))
        yield _refused(name, name, "NO_PICTURES", f"the folder has no pictures ({expected})")


def _inside(root: Path, key: str, person: str, above: tuple[_Identity, ...]) -> Iterator[Item]:
    """All of one directory; `above` are those it was reached by."""
    try:
        identity = _identity(root / key)
        names = _names(root / key)
    except OSError as error:
        yield _refused(key, person, "FOLDER_UNREADABLE", f"the folder cannot be read: {error}")
        return
    if identity in above:
        yield _refused(key, person, "LINK_LOOP", "the link leads to a folder that it lies in")
        return
    for name in names:
        yield from _each(root, f"{key}/{name}", person, (*above, identity))


def _each(root: Path, key: str, person: str, above: tuple[_Identity, ...]) -> Iterator[Item]:
    path = root / key
    picture = path.suffix.lower() in SUFFIXES
    if not path.is_dir():
        if picture:
            yield Entry(key, path, person)
        else:
            yield _passed_over(key, person, "NOT_A_PICTURE_NAME")
    elif picture:
        yield _passed_over(key, person, "NOT_A_FILE")
    else:
        yield from _inside(root, key, person, above)


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith("."))


def _identity(path: Path) -> _Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _refused(key: str, person: str, reason: str, message: str) -> Unusable:
    return Unusable(key, person, Refusal(reason, message))


_PASSED_OVER = {
    "NOT_IN_A_FOLDER": "it lies in no person's folder",
    "NOT_A_PICTURE_NAME": f"its name ends as no picture's does ({', '.join(sorted(SUFFIXES))})",
    "NOT_A_FILE": "it is a folder with the name of a picture",
}


def _passed_over(key: str, person: str, reason: str) -> Unusable:
    return Unusable(key, person, Refusal(reason, _PASSED_OVER[reason]), "passed_over")
