"""Similarities to error rates, in the vocabulary of ISO/IEC 19795-1.

A comparison matches when its similarity is at or above the threshold.
FMR: share of impostor comparisons that match. FNMR: share of genuine comparisons that do not.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid, InvalidEmbedding

Vectors: TypeAlias = npt.NDArray[np.float32]
"""float32 [N, D], rows of unit norm."""
Similarities: TypeAlias = npt.NDArray[np.float32]
"""float32 [N], cosines in [-1, 1]."""
Rates: TypeAlias = npt.NDArray[np.float64]
"""float64 [N], in [0, 1]."""
People: TypeAlias = npt.NDArray[np.int64]
"""int64 [N], whose each vector is."""

CHUNK = 1 << 20
"""Values that are looked at together, so that temporaries stay at a few MiB."""
BLOCK_ROWS = 256
"""Rows of one matrix product; at 20,000 columns a block takes 20 MiB."""
DRAWN_POINTS = 2048
"""More points of a curve than a chart has pixels."""


@dataclass(frozen=True)
class Comparisons:
    """Similarities of genuine and of impostor comparisons, each sorted ascending.

    Arrays that come sorted are kept, not copied; others are copied and sorted. Either may be empty;
    the rates that need it then raise DatasetInvalid. Raises InvalidEmbedding if a similarity is
    NaN.
    """

    genuine: Similarities
    impostor: Similarities

    def __post_init__(self) -> None:
        object.__setattr__(self, "genuine", _sorted(self.genuine))
        object.__setattr__(self, "impostor", _sorted(self.impostor))

    def fmr(self, threshold: float) -> float:
        """Share of impostor comparisons at or above the threshold."""
        self._needs_impostor()
        at_or_above = len(self.impostor) - np.searchsorted(self.impostor, np.float32(threshold))
        return float(at_or_above) / len(self.impostor)

    def fnmr(self, threshold: float) -> float:
        """Share of genuine comparisons below the threshold."""
        self._needs_genuine()
        return float(np.searchsorted(self.genuine, np.float32(threshold))) / len(self.genuine)

    def rates(self, thresholds: Similarities) -> tuple[Rates, Rates]:
        """FMR and FNMR at each of [T] thresholds (float32, as precise as a similarity)."""
        self._needs_impostor()
        self._needs_genuine()
        at = thresholds.astype(np.float32, copy=False)
        matching = len(self.impostor) - np.searchsorted(self.impostor, at)
        return matching / len(self.impostor), np.searchsorted(self.genuine, at) / len(self.genuine)

    def threshold_at_fmr(self, fmr: float) -> float:
        """The lowest threshold whose FMR on these comparisons is at most `fmr`.

        It lies just above an impostor similarity, so that equal ones fall on the same side.
        """
        self._needs_impostor()
        allowed = int(np.floor(fmr * len(self.impostor) + 1e-9))
        if allowed >= len(self.impostor):
            return -1.0
        highest_refused = self.impostor[len(self.impostor) - allowed - 1]
        return float(np.nextafter(highest_refused, np.float32(np.inf)))

    def fnmr_at_fmr(self, fmr: float) -> float:
        """FNMR at the lowest threshold whose FMR is at most `fmr`."""
        return self.fnmr(self.threshold_at_fmr(fmr))

    def det(self, points: int = DRAWN_POINTS) -> tuple[Rates, Rates]:
        """FMR and FNMR at every similarity that occurs and above the highest.

        Two arrays of one length; FMR falls from 1 to 0 while FNMR rises from 0 to 1. Of more than
        `points` comparisons only about so many points are given, dense where either rate is small,
        as on the logarithmic axes of a DET curve; each lies on the full curve.
        """
        self._needs_impostor()
        self._needs_genuine()
        occurring = np.unique(np.concatenate(self._landmarks(points)))
        return self.rates(np.append(occurring, np.nextafter(occurring[-1], np.float32(np.inf))))

    def eer(self) -> float:
        """Equal error rate: where FMR and FNMR cross, linearly between the two nearest points.

        The points are those of the full DET curve, found by bisection in the sorted similarities.
        """
        self._needs_impostor()
        self._needs_genuine()
        values = (self.genuine, self.impostor)
        after = [bisect_left(v, True, key=lambda t: self.fnmr(t) >= self.fmr(t)) for v in values]
        last = max(v[i - 1] for v, i in zip(values, after, strict=True) if i > 0)
        around = np.array([last, np.nextafter(last, np.float32(np.inf))], np.float32)
        fmr, fnmr = self.rates(around)
        return float(eers(fmr[None], fnmr[None])[0])

    def auc(self) -> float:
        """Area under the ROC curve: how often a genuine similarity exceeds an impostor one.

        Ties count half (the Mann-Whitney statistic, as in scikit-learn's roc_auc_score).
        """
        self._needs_impostor()
        self._needs_genuine()
        few, many = sorted((self.genuine, self.impostor), key=len)
        below = sum(
            int(np.searchsorted(many, part, side).sum())
            for part in _chunks(few)
            for side in ("left", "right")
        )
        area = below / 2 / len(few) / len(many)
        return area if few is self.genuine else 1 - area

    def _landmarks(self, points: int) -> tuple[Similarities, Similarities]:
        """Similarities [about points] at which the curve is drawn."""
        if len(self.genuine) + len(self.impostor) <= points:
            return self.genuine, self.impostor
        return (
            self.genuine[_logarithmic(len(self.genuine), points // 2)],
            self.impostor[_logarithmic(len(self.impostor), points // 2)],
        )

    def _needs_genuine(self) -> None:
        if not len(self.genuine):
            raise DatasetInvalid(
                "there are no genuine comparisons; two pictures of one person are needed at least"
            )

    def _needs_impostor(self) -> None:
        if not len(self.impostor):
            raise DatasetInvalid(
                "there are no impostor comparisons; at least two people are needed"
            )


def eers(fmr: Rates, fnmr: Rates) -> Rates:
    """Where the curves [curves, T] cross, T in order of threshold; from (1, 0) to (0, 1).

    Linearly between the two nearest points. NaN of a curve that has no rates.
    """
    fmr, fnmr = _whole(fmr, fnmr)
    rows = np.arange(len(fmr))
    after = np.argmax(fnmr >= fmr, axis=1)
    gap, gap_after = (fmr - fnmr)[rows, after - 1], (fnmr - fmr)[rows, after]
    share = gap / (gap + gap_after)
    return np.asarray(fmr[rows, after - 1] + share * (fmr[rows, after] - fmr[rows, after - 1]))


def aucs(fmr: Rates, fnmr: Rates) -> Rates:
    """Area under the ROC curve of each of [curves, T], T in order of threshold.

    Linearly between the points, from (1, 0) to (0, 1): equal similarities count half. NaN of a
    curve that has no rates.
    """
    fmr, fnmr = _whole(fmr, fnmr)
    strips = (fmr[:, :-1] - fmr[:, 1:]) * (fnmr[:, :-1] + fnmr[:, 1:]) / 2
    return np.asarray(1 - np.minimum(strips.sum(1), 1))


def _whole(fmr: Rates, fnmr: Rates) -> tuple[Rates, Rates]:
    """Curves [curves, T] with both their ends [curves, T+2]."""
    ends = ((0, 0), (1, 1))
    return (
        np.pad(fmr, ends, constant_values=(1, 0)),
        np.pad(fnmr, ends, constant_values=(0, 1)),
    )


def cross_compare(vectors: Vectors, people: People) -> Comparisons:
    """Compare every two of N vectors once. `people` [N] says whose each is.

    Exact, by blocks of rows: beside the similarities themselves (4 bytes each, N(N-1)/2 of them)
    it holds a copy of the vectors and one block.
    """
    order = np.argsort(people, kind="stable")
    vectors, people = vectors[order], people[order]
    ends = np.searchsorted(people, people, side="right")
    rows = np.arange(len(vectors))
    genuine = np.empty(int((ends - rows - 1).sum()), np.float32)
    impostor = np.empty(int((len(vectors) - ends).sum()), np.float32)
    into_genuine, into_impostor = _Filled(genuine), _Filled(impostor)
    for start, block in triangle(vectors):
        for row, similarities in enumerate(block, start):
            into_genuine.add(similarities[row + 1 - start : ends[row] - start])
            into_impostor.add(similarities[ends[row] - start :])
    return _owned(genuine, impostor)


def pair_similarities(first: Vectors, second: Vectors) -> Similarities:
    """The similarity of each row [N, D] with the same row of the other."""
    return np.asarray(np.einsum("nd,nd->n", first, second), np.float32)


def triangle(vectors: Vectors) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Blocks of the similarities of N vectors: a row s, and rows s… against columns s….

    All who compare the same vectors should take these blocks: another shape of the product may
    round a similarity otherwise, and thresholds lie next to similarities.
    """
    for start in range(0, len(vectors), BLOCK_ROWS):
        yield start, vectors[start : start + BLOCK_ROWS] @ vectors[start:].T


class _Filled:
    """An array that is filled from its front."""

    def __init__(self, array: Similarities) -> None:
        self._array = array
        self._count = 0

    def add(self, values: Similarities) -> None:
        self._array[self._count : self._count + len(values)] = values
        self._count += len(values)


def _owned(genuine: Similarities, impostor: Similarities) -> Comparisons:
    """Of arrays that nobody else holds, so that they are sorted in place."""
    genuine.sort()
    impostor.sort()
    return Comparisons(genuine, impostor)


def _sorted(values: Similarities) -> Similarities:
    if not all((part[:-1] <= part[1:]).all() for part in _chunks(values, overlap=1)):
        values = np.sort(values)
    if len(values) and np.isnan(values[-1]):  # sorting puts them last
        refuse_nan(values)
    return values


def refuse_nan(similarities: npt.NDArray[np.float32]) -> None:
    """Raise InvalidEmbedding if any similarity of any shape is not a number."""
    if missing := np.isnan(similarities).sum():
        raise InvalidEmbedding(
            f"{missing} of {similarities.size} similarities are not numbers, so that a vector is "
            "not finite; embed again with a network that gives numbers"
        )


def _chunks(values: Similarities, overlap: int = 0) -> Iterator[Similarities]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK + overlap]


def _logarithmic(count: int, points: int) -> npt.NDArray[np.int64]:
    """About so many indices of `count` values, both ends among them, dense towards both ends."""
    distances = np.unique(np.geomspace(1, count, max(2, points // 2)).astype(np.int64)) - 1
    return np.union1d(distances, count - 1 - distances)
