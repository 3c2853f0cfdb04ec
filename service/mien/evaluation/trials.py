"""The pairs of a pair file as rows of samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.evaluation import pair_file
from mien.evaluation.pair_file import PairFile
from mien.evaluation.samples import Samples
from mien.vision.images import SUFFIXES

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trials:
    """P comparisons of two samples each: int64 [P] rows of either, int64 [P] folds.

    `left_out` pairs name a picture that gave no vector.
    """

    first: Rows
    second: Rows
    folds: Rows
    left_out: int

    @classmethod
    def of(cls, file: PairFile, samples: Samples) -> Self:
        """Raises DatasetInvalid: a picture is unknown (all are listed), or no pair is left."""
        rows = {stem(name): row for row, name in enumerate(samples.names.tolist())}
        failed = {stem(failure.name): -1 for failure in samples.failures or ()}
        left_out = {stem(name): -1 for _, name in samples.left_out}
        pair_file.check_known(file, rows | failed | left_out, "the saved vectors")
        kept = [p for p in file.pairs if p.first.stem in rows and p.second.stem in rows]
        _check_kinds(file, {pair.genuine for pair in kept})
        return cls(
            first=_rows(rows, [pair.first.stem for pair in kept]),
            second=_rows(rows, [pair.second.stem for pair in kept]),
            folds=np.array([pair.fold for pair in kept], dtype=np.int64),
            left_out=len(file.pairs) - len(kept),
        )


def stem(name: str) -> str:
    """`<person>/<picture>` without the suffix of a picture, if it has one."""
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name


def _rows(rows: Mapping[str, int], stems: list[str]) -> Rows:
    return np.array([rows[name] for name in stems], dtype=np.int64)


def _check_kinds(file: PairFile, kinds: set[bool]) -> None:
    for kind, name in ((True, "matched"), (False, "mismatched")):
        if kind not in kinds:
            raise DatasetInvalid(f"{file.path}: none of the {name} pairs has two usable pictures")
