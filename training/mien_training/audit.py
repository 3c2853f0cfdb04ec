"""What is wrong with a folder of people, before anything is learned from it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from mien.errors import DatasetInvalid
from mien_training.data import Data, shortened
from mien_training.difference_hash import near

NAMED = 3
"""Examples that a row of the table shows."""

Pair: TypeAlias = tuple[int, int]
"""Two rows of the pictures as they were read."""


@dataclass(frozen=True)
class Finding:
    """A row of the table."""

    what: str
    examples: tuple[str, ...]
    """All that were found."""

    def __str__(self) -> str:
        told = f": {shortened(self.examples, NAMED)}" if self.examples else ""
        return f"  {len(self.examples):>6,} {self.what}{told}"


@dataclass(frozen=True)
class Audit:
    """What was found in a folder. Two pictures are written "person/file = person/file"."""

    folder: Path
    pictures: int
    people: int
    leaked: Finding
    """The same picture in training and in validation, so that validation would flatter."""
    others: tuple[Finding, ...]

    def table(self) -> str:
        title = f"audit of {self.folder}: {self.pictures:,} pictures of {self.people:,} people"
        return "\n".join([title, *map(str, (*self.others, self.leaked))])

    def refuse(self, *, strict: bool) -> None:
        """Raises DatasetInvalid: validation leaks into training; with `strict`, anything found."""
        if self.leaked.examples:
            raise DatasetInvalid(
                f"{self.folder}: validation leaks into training, {len(self.leaked.examples)} "
                f"pictures are in both, such as {self.leaked.examples[0]}; take one of the two "
                "away, join the two people if they are one, or set another seed"
            )
        found = [finding for finding in self.others if finding.examples]
        if strict and found:
            raise DatasetInvalid(
                f"{self.folder}: --strict refuses {found[0].what}, such as "
                f"{found[0].examples[0]}; mend the folder or leave --strict out"
            )


def audit(folder: Path, data: Data, validation_people: Collection[str]) -> Audit:
    """Look for what is wrong with a folder as it was read; no picture is opened again.

    Near duplicates are told of across people only: of one person they are to be expected.
    """
    equal = set(_equal(data))
    across = {pair for pair in equal if _is_across(data, pair)}
    alike = {(a, b) for a, b in near(data.hashes).tolist() if _is_across(data, (a, b))} - across
    leaking = {pair for pair in across | alike if _is_split(data, pair, validation_people)}
    return Audit(
        folder=folder,
        pictures=len(data.names),
        people=len(data.crops.people),
        others=(
            Finding("unreadable pictures", data.unreadable),
            Finding("people with a single picture", data.single),
            Finding("exact duplicates of one person", _told(data, equal - across)),
            Finding("exact duplicates of two people", _told(data, across - leaking)),
            Finding("near duplicates of two people", _told(data, alike - leaking)),
            Finding("near duplicates across the split", _told(data, alike & leaking)),
        ),
        leaked=Finding("exact duplicates across the split", _told(data, across & leaking)),
    )


def _equal(data: Data) -> Iterator[Pair]:
    """Pictures whose files have one SHA-256; of more than two, each with the next."""
    rows = defaultdict(list)
    for row, digest in enumerate(data.sha256s):
        rows[digest].append(row)
    for same in rows.values():
        yield from pairwise(same)


def _is_across(data: Data, pair: Pair) -> bool:
    first, second = data.crops.labels[list(pair)]
    return bool(first != second)


def _is_split(data: Data, pair: Pair, validation_people: Collection[str]) -> bool:
    first, second = (data.crops.people[data.crops.labels[row]] for row in pair)
    return (first in validation_people) != (second in validation_people)


def _told(data: Data, pairs: Iterable[Pair]) -> tuple[str, ...]:
    return tuple(f"{data.names[a]} = {data.names[b]}" for a, b in sorted(pairs))
