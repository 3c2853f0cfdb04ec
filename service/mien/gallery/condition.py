"""What is wrong with a gallery, and the repair of what is derived."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mien.errors import SettingsInvalid, StoreInvalid
from mien.gallery.galleries import Galleries
from mien.gallery.ids import check_id
from mien.gallery.integrity import check_file
from mien.gallery.lock import DirectoryLock
from mien.gallery.records import Finding
from mien.gallery.store.store import FILE_NAME

INDEX, INDEX_FILE, CLOCK = "index", "index file", "clock"
DERIVED = (INDEX, INDEX_FILE)


def is_damage(what: str) -> bool:
    """Whether a finding of that name is of the store, which nothing but a snapshot brings back."""
    return what not in (*DERIVED, CLOCK)


@dataclass(frozen=True)
class Repaired:
    """Something that was wrong; `repaired` if it is not any more."""

    what: str
    message: str
    repaired: bool


@dataclass(frozen=True)
class Condition:
    """What was found, and what was looked at: of the gallery, or of all if the store is damaged."""

    findings: tuple[Repaired, ...]
    subjects: int
    samples: int
    revision: int


def check(galleries: Galleries, gallery_id: str, check_only: bool) -> Condition:
    """Look at the store, at the index and at its file; make the latter two anew if they differ.

    Nothing is derived anew from a store that is damaged. Raises GalleryNotFound.
    """
    check_id("gallery", gallery_id)
    try:
        checked = galleries.check()
        found, subjects, samples = checked.findings, checked.subjects, checked.samples
    except StoreInvalid as error:
        found, subjects, samples = (Finding("unreadable", str(error)),), 0, 0
    if any(is_damage(finding.what) for finding in found):
        return Condition(_unrepaired(found), subjects, samples, 0)
    wrong = galleries.check_index(gallery_id)
    left = wrong
    if wrong and not check_only:
        galleries.rebuild_index(gallery_id)
        left = galleries.check_index(gallery_id)
    kinds = {finding.what for finding in left}
    derived = (Repaired(each.what, each.message, each.what not in kinds) for each in wrong)
    info = galleries.get(gallery_id)
    return Condition((*_unrepaired(found), *derived), info.subjects, info.samples, info.revision)


def check_directory(data: Path, gallery_id: str, check_only: bool) -> Condition:
    """The same of a data directory that no process has open.

    To open it, as every start does, brings the index file up to date or makes it anew: what was
    wrong with it is found by that, and repaired even with `check_only`. A store that is damaged is
    not opened.

    Raises as `opened`, and GalleryNotFound.
    """
    check_id("gallery", gallery_id)
    with _held(data):
        damage = _damage(data / FILE_NAME)
    if damage:
        return damage
    file = data / f"{gallery_id}.index"
    with _watched(file) as gone, closing(Galleries(data)) as galleries:
        replaced = gone()
        condition = check(galleries, gallery_id, check_only)
    if not replaced:
        return condition
    told = Repaired(INDEX_FILE, f"{file.name} did not fit the store, and is made anew", True)
    return Condition(
        (*condition.findings, told), condition.subjects, condition.samples, condition.revision
    )


@contextmanager
def _watched(path: Path) -> Iterator[Callable[[], bool]]:
    """Whether a file that is here at the beginning has been removed or replaced."""
    if not path.exists():
        yield lambda: False
        return
    with path.open("rb") as file:
        yield lambda: os.fstat(file.fileno()).st_nlink == 0


def check_there(data: Path) -> None:
    """Raise SettingsInvalid unless it is a data directory: to open one would make it."""
    if not (data / FILE_NAME).is_file():
        raise SettingsInvalid(
            f"{data} is no data directory, since it has no {FILE_NAME}; name the one that "
            "`mien serve --data` is given"
        )


def _held(data: Path) -> DirectoryLock:
    check_there(data)
    return DirectoryLock(data)


def _damage(path: Path) -> Condition | None:
    try:
        checked = check_file(path)
    except StoreInvalid as error:
        return Condition((Repaired("unreadable", str(error), False),), 0, 0, 0)
    if not any(is_damage(finding.what) for finding in checked.findings):
        return None
    return Condition(_unrepaired(checked.findings), checked.subjects, checked.samples, 0)


def _unrepaired(findings: Iterable[Finding]) -> tuple[Repaired, ...]:
    return tuple(Repaired(each.what, each.message, False) for each in findings)
