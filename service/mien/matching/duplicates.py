"""Subjects that are one person, and samples that do not fit theirs: everybody with everybody.

Exact, by blocks: beside the vectors (and, by "mean", the subjects' means) a few tens of megabytes
are held, and what was found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.matching.fusion import Rule
from mien.matching.metrics import Similarities, Vectors

Ints: TypeAlias = npt.NDArray[np.int64]
Alive: TypeAlias = Callable[[], None]

ROWS, COLUMNS = 1024, 4096
"""Of a block of similarities: 16 MiB."""


@dataclass(frozen=True)
class Pair:
    """Two subjects, a < b, and how alike they are by all of their samples."""

    a: int
    b: int
    similarity: float


@dataclass(frozen=True)
class Misfit:
    """A sample, by its row; how alike it is to the other samples of its subject.

    `nearest` is the subject it is most like if that is another one and reaches the threshold.
    """

    sample: int
    similarity: float
    nearest: int | None


@dataclass(frozen=True)
class Found:
    """Pairs, the most alike first, and misfits, the least alike first.

    `truncated`: there were more of either than were wanted.
    """

    pairs: list[Pair]
    misfits: list[Misfit]
    truncated: bool


def _nobody_asks() -> None:
    """Go on."""


def find(  # noqa: PLR0913 - whose, by which rule, how much
    vectors: Vectors,
    subjects: Ints,
    rule: Rule,
    threshold: float,
    *,
    most: int,
    alive: Alive = _nobody_asks,
) -> Found:
    """Compare all with all: `vectors` float32 [n, D], whose each is `subjects` [n], ascending.

    Subjects are numbered from 0 without gaps. Two subjects are as alike as their samples that are
    most alike, or by "mean" as all samples of one are to all of the other on average. A sample of
    several is held against the others of its subject likewise. At most `most` pairs and `most`
    misfits. `alive` is called at each block, and may raise to end the search.
    """
    if not len(vectors):
        return Found([], [], truncated=False)
    floor = at_least(threshold)
    owners, looks = subjects, vectors
    if rule == "mean":
        owners, looks = np.arange(subjects[-1] + 1), _means(vectors, subjects)
    best = _Best(floor, most)
    for pairs in _alike(looks, owners, best, alive):
        best.take(*pairs)
    own = _own_means(vectors, subjects) if rule == "mean" else _own_best(vectors, subjects, alive)
    rows = np.flatnonzero(own < floor)
    rows = rows[np.argsort(own[rows], kind="stable")]
    told = rows[:most]
    nearest = _nearest(vectors[told], subjects[told], (looks, owners), floor, alive)
    misfits = [
        Misfit(row, _cosine(own[row]), None if other < 0 else other)
        for row, other in zip(told.tolist(), nearest.tolist(), strict=True)
    ]
    return Found(best.pairs(), misfits, best.more or len(rows) > most)


def at_least(threshold: float) -> np.float32:
    """The smallest float32 that is not below: similarities reach one if they reach the other."""
    near = np.float32(threshold)
    return near if float(near) >= threshold else np.nextafter(near, np.float32(np.inf))


class _Best:
    """The `most` pairs of subjects that are most alike, of all that were taken."""

    def __init__(self, threshold: np.float32, most: int) -> None:
        self.floor = threshold
        """Pairs below it need not be taken any more."""
        self.more = False
        self._most = most
        self._a = self._b = np.empty(0, np.int64)
        self._similarities = np.empty(0, np.float32)

    def take(self, a: Ints, b: Ints, similarities: Similarities) -> None:
        """Take in pairs [k], a < b; of a pair that comes again the largest similarity counts."""
        a, b = np.concatenate([self._a, a]), np.concatenate([self._b, b])
        similarities = np.concatenate([self._similarities, similarities])
        order = np.lexsort((-similarities, b, a))
        again = (np.diff(a[order], prepend=-1) == 0) & (np.diff(b[order], prepend=-1) == 0)
        order = order[~again]
        order = order[np.lexsort((b[order], a[order], -similarities[order]))]
        self.more |= len(order) > self._most
        order = order[: self._most]
        self._a, self._b, self._similarities = a[order], b[order], similarities[order]
        if self.more:
            self.floor = self._similarities[-1]

    def pairs(self) -> list[Pair]:
        found = zip(self._a.tolist(), self._b.tolist(), self._similarities, strict=True)
        return [Pair(a, b, _cosine(similarity)) for a, b, similarity in found]


def _alike(
    looks: Vectors, owners: Ints, best: _Best, alive: Alive
) -> Iterator[tuple[Ints, Ints, Similarities]]:
    """Pairs of different owners, a < b, that reach the floor, a block at a time."""
    for top in range(0, len(looks), ROWS):
        for left in range(top, len(looks), COLUMNS):
            alive()
            block = looks[top : top + ROWS] @ looks[left : left + COLUMNS].T
            row, column = np.divmod(np.flatnonzero(block >= best.floor), block.shape[1])
            a, b = owners[top + row], owners[left + column]
            other = a < b  # the lower triangle of a block on the diagonal says the same again
            if other.any():
                yield a[other], b[other], block[row[other], column[other]]


def _nearest(
    looks: Vectors, whose: Ints, everybody: tuple[Vectors, Ints], floor: np.float32, alive: Alive
) -> Ints:
    """Of each sample the other subject that is most like it, or -1 if none reaches the floor."""
    found = np.full(len(looks), -1)
    for start in range(0, len(looks), ROWS):
        part = slice(start, start + ROWS)
        best = np.full(len(found[part]), floor)
        for left in range(0, len(everybody[0]), COLUMNS):
            alive()
            block = looks[part] @ everybody[0][left : left + COLUMNS].T
            of = everybody[1][left : left + COLUMNS]
            block[whose[part][:, None] == of[None, :]] = -np.inf
            column = block.argmax(1)
            value = block[np.arange(len(block)), column]
            # One that is as alike and comes later does not win, unless nobody was there yet.
            better = (value > best) | ((value == best) & (found[part] < 0))
            found[part][better], best[better] = of[column[better]], value[better]
    return found


def _means(vectors: Vectors, subjects: Ints) -> Vectors:
    """float32 [S, D], of each subject; not of unit norm."""
    starts, counts = _groups(subjects)
    sums = np.add.reduceat(vectors, starts, axis=0, dtype=np.float64)
    return np.asarray(sums / counts[:, None], np.float32)


def _own_means(vectors: Vectors, subjects: Ints) -> Similarities:
    """[n]: of each sample with the others of its subject on average; infinite if it is alone."""
    starts, counts = _groups(subjects)
    own = np.full(len(vectors), np.inf, np.float32)
    for start in range(0, len(starts), ROWS):
        of = counts[start : start + ROWS]
        first, last = starts[start], starts[start] + of.sum()
        these = vectors[first:last].astype(np.float64)
        sums = np.repeat(np.add.reduceat(these, starts[start : start + ROWS] - first), of, axis=0)
        others = np.repeat(of - 1, of)
        several = others > 0
        dots = np.einsum("nd,nd->n", sums - these, these)[several]
        own[first:last][several] = dots / others[several]
    return own


def _own_best(vectors: Vectors, subjects: Ints, alive: Alive) -> Similarities:
    """[n]: of each sample with the most similar other one of its subject; infinite if alone."""
    own = np.full(len(vectors), np.inf, np.float32)
    for first, count in zip(*_groups(subjects), strict=True):
        theirs = vectors[first : first + count]
        for start in range(0, count if count > 1 else 0, ROWS):
            if count > ROWS:
                alive()
            block = theirs[start : start + ROWS] @ theirs.T
            rows = np.arange(len(block))
            block[rows, start + rows] = -np.inf
            own[first + start + rows] = block.max(1)
    return own


def _groups(subjects: Ints) -> tuple[Ints, Ints]:
    """Where each subject's samples begin, and how many there are."""
    starts = np.flatnonzero(np.diff(subjects, prepend=-1))
    return starts, np.diff(starts, append=len(subjects))


def _cosine(similarity: np.float32) -> float:
    """Rounding may carry the product of two unit vectors just past 1."""
    return float(np.clip(similarity, -1, 1))
