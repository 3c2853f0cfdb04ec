"""Folders of people: `<folder>/<person>/<picture>`."""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DatasetInvalid, ImageTooLarge, ImageUndecodable
from mien.vision.images import RGB, SUFFIXES, decode


@dataclass(frozen=True)
class Person:
    """One person's folder: its name and its pictures in order of file name."""

    name: str
    pictures: tuple[Path, ...]


def scan(folder: Path) -> list[Person]:
    """List the people of a folder in order of name, without opening a picture.

    Hidden files, files without a picture's suffix, and what only has the suffix (a folder, a link
    to nothing) are passed over.

    Raises DatasetInvalid: the folder is missing, has no people in it, a person has no pictures, or
    two folders have one name (letter case and Unicode composition aside).
    """
    if not folder.is_dir():
        raise DatasetInvalid(f"{folder} is no folder")
    people = [
        Person(child.name, tuple(_pictures(child)))
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    ]
    if not people:
        raise DatasetInvalid(
            f"{folder} has no people in it; expected {folder}/<person>/<picture>.jpg"
        )
    check_names(folder, [person.name for person in people])
    for person in people:
        if not person.pictures:
            raise DatasetInvalid(
                f"{folder / person.name} has no pictures ({', '.join(sorted(SUFFIXES))})"
            )
    return people


def read(path: Path) -> RGB:
    """Decode one picture file to uint8 [H, W, 3] RGB. Raises as `read_file`."""
    _, picture = read_file(path)
    return picture


def read_file(path: Path) -> tuple[bytes, RGB]:
    """The bytes of a picture file, and the picture that they are, uint8 [H, W, 3] RGB.

    Raises DatasetInvalid, naming the file, if it cannot be read or decoded.
    """
    try:
        content = path.read_bytes()
        return content, decode(content)
    except (OSError, ImageUndecodable, ImageTooLarge) as error:
        raise DatasetInvalid(f"{path}: {error}; mend it or take it out of the folder") from None


def digest(people: Iterable[int], pictures: Iterable[bytes]) -> str:
    """SHA-256 of pictures, in order, and of whose they are, by number; not of names.

    Two calibrations of one digest were measured on the same pictures of the same people.
    """
    whole = hashlib.sha256()
    for person, content in zip(people, pictures, strict=True):
        whole.update(int(person).to_bytes(8, "little"))
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def check_names(folder: Path, names: Iterable[str]) -> None:
    """Raise DatasetInvalid if two are one name, letter case and Unicode composition aside."""
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise DatasetInvalid(
                f"two folders of one name in {folder}: {seen[key]!r} and {name!r}; "
                "rename or join them"
            )
        seen[key] = name
