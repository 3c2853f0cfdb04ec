"""Several samples of one subject to one similarity."""

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from mien.matching.metrics import People

Rule: TypeAlias = Literal["max", "mean"]
"""The best of a subject's samples, or all of them alike."""
RULES: tuple[Rule, ...] = get_args(Rule)


def fuse(
    similarities: npt.NDArray[np.float32], subjects: People, rule: Rule
) -> npt.NDArray[np.float32]:
    """[P, S] similarities of P probes with S samples to [P, subjects].

    `subjects` [S] says whose each sample is; the columns are in ascending order of subject.
    """
    order = np.argsort(subjects, kind="stable")
    _, starts, counts = np.unique(subjects[order], return_index=True, return_counts=True)
    grouped = similarities[:, order]
    if rule == "max":
        return np.asarray(np.maximum.reduceat(grouped, starts, axis=1))
    return np.asarray(np.add.reduceat(grouped, starts, axis=1) / counts.astype(np.float32))
