"""Who belongs to which group: a CSV with the columns `person` and `group`."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from mien.errors import DatasetInvalid
from mien.evaluation.listing import listing

COLUMNS = ("person", "group")


def read(path: Path) -> dict[str, str]:
    """Each person's group. Raises DatasetInvalid, naming the line that is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if tuple(header) != COLUMNS:
                raise DatasetInvalid(
                    f"{path}: the first line is {','.join(header)!r}; expected 'person,group'"
                )
            return _groups(path, ((rows.line_num, row) for row in rows if row))
    except FileNotFoundError:
        raise DatasetInvalid(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetInvalid(f"{path} cannot be read as CSV: {error}") from None


def check(path: Path, groups: Mapping[str, str], people: Iterable[str]) -> None:
    """Raises DatasetInvalid unless it names every one of the people and nobody else."""
    wanted = set(people)
    if not groups.keys() & wanted:
        raise DatasetInvalid(f"{path} names nobody of the {len(wanted):,} people of the evaluation")
    problems = [
        f"{count:,} {what}: {listing(names)}"
        for what, names in (
            ("people without a group", wanted - groups.keys()),
            ("people whom the evaluation does not know", groups.keys() - wanted),
        )
        if (count := len(names))
    ]
    if problems:
        raise DatasetInvalid(f"{path} does not fit: {'; '.join(problems)}")


def _groups(path: Path, rows: Iterable[tuple[int, list[str]]]) -> dict[str, str]:
    groups: dict[str, str] = {}
    for number, row in rows:
        if len(row) != len(COLUMNS) or not all(row):
            raise DatasetInvalid(f"{path}: line {number} is {','.join(row)!r}; expected two values")
        person, group = row
        if person in groups:
            raise DatasetInvalid(f"{path}: line {number}: {person!r} stands there twice")
        groups[person] = group
    return groups
