"""The samples of a gallery in memory: three arrays, and no Python object for each."""

import numpy as np
import numpy.typing as npt

from mien.gallery.index.memory import VectorMemory
from mien.gallery.index.nearest import Ints, Similarities
from mien.matching.metrics import Vectors

ROOM = 1024
"""Rows that arrays grow by at least."""

GROWTH = 32
"""They grow by a 32nd, so that little memory is unused; large ones are moved by remapping pages."""


def count_distinct(values: Ints) -> int:
    """By sorting: np.unique hashes, which takes seconds and 80 MB for a million."""
    ordered = np.sort(values)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(ordered))


class Rows:
    """Keys int64 [n], subjects' keys int64 [n] and vectors float32 [n, D], in no order.

    `keys`, `subjects` and `vectors` are views: none may be kept over a change.
    """

    def __init__(self, dim: int, capacity: int = 0) -> None:
        self._size = 0
        self._keys = np.empty(0, np.int64)
        self._subjects = np.empty(0, np.int64)
        self._memory = VectorMemory(dim)
        self._grow(capacity)

    def __len__(self) -> int:
        return self._size

    @property
    def keys(self) -> Ints:
        return self._keys[: self._size]

    @property
    def subjects(self) -> Ints:
        return self._subjects[: self._size]

    @property
    def vectors(self) -> Vectors:
        return self._memory.vectors[: self._size]

    def extend(self, count: int) -> Ints:
        """Make room for so many more and return their rows, which the caller fills."""
        size = self._size + count
        if size > len(self._keys):
            self._grow(max(size, len(self._keys) + max(ROOM, len(self._keys) // GROWTH)))
        rows = np.arange(self._size, size)
        self._size = size
        return rows

    def add(self, keys: Ints, subjects: Ints, vectors: Vectors) -> Ints:
        """Take in samples and return their rows."""
        rows = self.extend(len(keys))
        added = slice(self._size - len(keys), self._size)
        self._keys[added], self._subjects[added] = keys, subjects
        self._memory.vectors[added] = vectors
        return rows

    def remove(self, rows: Ints) -> tuple[Ints, Ints]:
        """Drop distinct rows; the last ones take the places that become free.

        Returns the rows that moved: from where, and to where.
        """
        size = self._size - len(rows)
        last = np.arange(size, self._size)
        moved, freed = np.setdiff1d(last, rows, assume_unique=True), rows[rows < size]
        for array in (self._keys, self._subjects, self._memory.vectors):
            array[freed] = array[moved]
            array[size : self._size] = 0
        self._size = size
        return moved, freed

    def of_keys(self, keys: Ints) -> Ints:
        """The rows, ascending, of those of these keys that are here."""
        return np.flatnonzero(np.isin(self.keys, keys))

    def known(self, subjects: Ints) -> int:
        """How many of these distinct subjects have a sample here."""
        return count_distinct(self.subjects[np.isin(self.subjects, subjects)])

    def _grow(self, capacity: int) -> None:
        # No view outlives the lock under which it was taken, so that nothing refers to the arrays.
        self._keys.resize(capacity, refcheck=False)
        self._subjects.resize(capacity, refcheck=False)
        self._memory.grow(capacity)


class Groups:
    """The rows of each subject together. `subjects` [n], n > 0, says whose each row is."""

    def __init__(self, subjects: Ints) -> None:
        self._order = np.argsort(subjects, kind="stable")
        ordered = subjects[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.counts = np.diff(np.r_[self._starts, len(ordered)])

    def means(self, similarities: Similarities) -> npt.NDArray[np.float64]:
        """[n] similarities to [subjects] means, in ascending order of subject."""
        ordered = similarities[self._order].astype(np.float64)
        return np.asarray(np.add.reduceat(ordered, self._starts) / self.counts)

    def best(self, group: int, similarities: Similarities) -> int:
        """The row of the group that is most similar."""
        start = self._starts[group]
        rows = self._order[start : start + self.counts[group]]
        return int(rows[similarities[rows].argmax()])
