"""Pair files in the format of Labeled Faces in the Wild (Huang et al. 2007).

    View 1:  a count n; n matched pairs; n mismatched pairs
    View 2:  "folds<TAB>n"; then for each fold n matched and n mismatched pairs

    matched     name<TAB>i<TAB>j              <name>/<name>_<i>.jpg and <name>/<name>_<j>.jpg
    mismatched  name<TAB>i<TAB>other<TAB>j

Numbers have four digits in the file names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DatasetInvalid
from mien.evaluation.acquisition import Picture
from mien.evaluation.listing import listing
from mien.vision.images import SUFFIXES

MATCHED, MISMATCHED = 3, 4
"""Columns of a line."""
MOST_DIGITS = 9
"""Of a number; Python refuses to read one of more than 4,300."""
SHOWN = 80
"""Characters of a line that is quoted."""


@dataclass(frozen=True, order=True)
class Shot:
    """One picture of a pair file."""

    person: str
    number: int

    @property
    def stem(self) -> str:
        """`<person>/<person>_0001`, without a suffix."""
        return f"{self.person}/{self.person}_{self.number:04d}"


@dataclass(frozen=True)
class Pair:
    """Two pictures to compare. `fold` counts from 0."""

    first: Shot
    second: Shot
    fold: int

    @property
    def genuine(self) -> bool:
        return self.first.person == self.second.person


@dataclass(frozen=True)
class PairFile:
    """All pairs in order; `folds` is None for a View 1 file."""

    path: Path
    folds: int | None
    pairs: tuple[Pair, ...]

    @property
    def shots(self) -> list[Shot]:
        """Every picture that a pair names, once, in order."""
        return sorted({shot for pair in self.pairs for shot in (pair.first, pair.second)})


def read(path: Path) -> PairFile:
    """Read a pair file. Raises DatasetInvalid, naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DatasetInvalid(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{path} is no pair file: {error}") from None
    while lines and not lines[-1].strip():
        lines.pop()
    folds, each = _header(path, lines)
    expected = 2 * each * (folds or 1)
    if len(lines) - 1 != expected:
        raise DatasetInvalid(
            f"{path}: line 1 announces {expected:,} pairs, {len(lines) - 1:,} lines follow"
        )
    pairs = tuple(
        _pair(path, number, line, genuine=row % (2 * each) < each, fold=row // (2 * each))
        for row, (number, line) in enumerate(enumerate(lines[1:], start=2))
    )
    return PairFile(path, folds, pairs)


def locate(file: PairFile, folder: Path) -> list[Picture]:
    """The picture file of every shot, in the order of `file.shots`.

    Raises DatasetInvalid, listing all that are missing.
    """
    if not folder.is_dir():
        raise DatasetInvalid(f"{folder} is no folder")
    found = {shot: _file(folder, shot) for shot in file.shots}
    _check_missing(file, str(folder), [shot for shot, path in found.items() if path is None])
    return [Picture(shot.person, path) for shot, path in found.items() if path is not None]


def check_known(file: PairFile, known: Mapping[str, object], where: str) -> None:
    """Raises DatasetInvalid, listing all shots whose stem is not among the known ones."""
    _check_missing(file, where, [shot for shot in file.shots if shot.stem not in known])


def _check_missing(file: PairFile, where: str, missing: Sequence[Shot]) -> None:
    if missing:
        raise DatasetInvalid(
            f"{file.path} names {len(missing):,} images that are not in {where}: "
            f"{listing(shot.stem for shot in missing)}"
        )


def _file(folder: Path, shot: Shot) -> Path | None:
    for suffix in (".jpg", *sorted(SUFFIXES - {".jpg"})):
        path = folder / f"{shot.stem}{suffix}"
        if path.is_file():
            return path
    return None


def _header(path: Path, lines: Sequence[str]) -> tuple[int | None, int]:
    numbers = [_count(word) for word in lines[0].split()] if lines else []
    if len(numbers) == 1 and numbers[0]:
        return None, numbers[0]
    if len(numbers) == 2 and numbers[0] and numbers[0] > 1 and numbers[1]:
        return numbers[0], numbers[1]
    raise DatasetInvalid(
        f"{path}: line 1 is {lines[0][:SHOWN] if lines else ''!r}; expected a count "
        "of pairs, or a number of folds (at least 2) and a count"
    )


def _pair(path: Path, number: int, line: str, *, genuine: bool, fold: int) -> Pair:
    fields = line.split("\t") if "\t" in line else line.split()
    columns = MATCHED if genuine else MISMATCHED
    try:
        if len(fields) != columns:
            raise ValueError(f"it has {len(fields)} fields")
        first = _shot(fields[0], fields[1])
        second = _shot(fields[0] if genuine else fields[2], fields[-1])
        pair = Pair(first, second, fold)
        if first == second:
            raise ValueError("a picture is paired with itself")
        if pair.genuine != genuine:
            raise ValueError("a mismatched pair is of one person")
    except ValueError as error:
        form = "name, i, j" if genuine else "name, i, other name, j"
        raise DatasetInvalid(
            f"{path}: line {number} is {line[:SHOWN]!r}: {error}; expected a "
            f"{'matched' if genuine else 'mismatched'} pair, {form}"
        ) from None
    return pair


def _shot(name: str, number: str) -> Shot:
    found = _count(number.strip())
    if found is None:
        raise ValueError(f"{number[:SHOWN]!r} is no number of a picture")
    if name in {"", ".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a person")
    return Shot(name, found)


def _count(word: str) -> int | None:
    """A positive whole number of so many digits at most, or None."""
    if len(word) > MOST_DIGITS or not (word.isascii() and word.isdigit()):
        return None
    return int(word) or None
