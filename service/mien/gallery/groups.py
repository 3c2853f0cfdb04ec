"""Rows by whose they are."""

import numpy as np
import numpy.typing as npt

from mien.gallery.nearest import Ints, Similarities


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
