"""Similarities to error rates, in the vocabulary of ISO/IEC 19795-1.

A comparison matches when its similarity is at or above the threshold.
FMR: share of impostor comparisons that match. FNMR: share of genuine comparisons that do not.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
"""float32 [N, D], rows of unit norm."""
Similarities: TypeAlias = npt.NDArray[np.float32]
"""float32 [N], cosines in [-1, 1]."""
Rates: TypeAlias = npt.NDArray[np.float64]
"""float64 [N], in [0, 1]."""


@dataclass(frozen=True)
class Comparisons:
    """Similarities of genuine and of impostor comparisons, each sorted ascending."""

    genuine: Similarities
    impostor: Similarities

    def __post_init__(self) -> None:
        object.__setattr__(self, "genuine", np.sort(self.genuine))
        object.__setattr__(self, "impostor", np.sort(self.impostor))

    def fmr(self, threshold: float) -> float:
        """Share of impostor comparisons at or above the threshold."""
        at_or_above = len(self.impostor) - np.searchsorted(self.impostor, np.float32(threshold))
        return float(at_or_above) / len(self.impostor)

    def fnmr(self, threshold: float) -> float:
        """Share of genuine comparisons below the threshold."""
        return float(np.searchsorted(self.genuine, np.float32(threshold))) / len(self.genuine)

    def threshold_at_fmr(self, fmr: float) -> float:
        """The lowest threshold whose FMR on these comparisons is at most `fmr`.

        It lies just above an impostor similarity, so that equal ones fall on the same side.
        """
        allowed = int(np.floor(fmr * len(self.impostor) + 1e-9))
        if allowed >= len(self.impostor):
            return -1.0
        highest_refused = self.impostor[len(self.impostor) - allowed - 1]
        return float(np.nextafter(highest_refused, np.float32(2)))

    def fnmr_at_fmr(self, fmr: float) -> float:
        """FNMR at the lowest threshold whose FMR is at most `fmr`."""
        return self.fnmr(self.threshold_at_fmr(fmr))

    def det(self) -> tuple[Rates, Rates]:
        """FMR and FNMR at every similarity that occurs and above the highest.

        Two arrays of one length; FMR falls from 1 to 0 while FNMR rises from 0 to 1.
        """
        occurring = np.unique(np.concatenate([self.genuine, self.impostor]))
        thresholds = np.append(occurring, np.nextafter(occurring[-1], np.float32(2)))
        fmr = 1 - np.searchsorted(self.impostor, thresholds) / len(self.impostor)
        fnmr = np.searchsorted(self.genuine, thresholds) / len(self.genuine)
        return fmr, fnmr

    def eer(self) -> float:
        """Equal error rate: where FMR and FNMR cross, linearly between the two nearest points."""
        fmr, fnmr = self.det()
        after = int(np.argmax(fnmr >= fmr))
        gap_before, gap_after = fmr[after - 1] - fnmr[after - 1], fnmr[after] - fmr[after]
        share = gap_before / (gap_before + gap_after) if gap_before + gap_after > 0 else 0.0
        return float(fmr[after - 1] + share * (fmr[after] - fmr[after - 1]))


def cross_compare(vectors: Vectors, people: npt.NDArray[np.int64]) -> Comparisons:
    """Compare every two of N vectors once. `people` [N] says whose each is."""
    similarities = vectors @ vectors.T
    first, second = np.triu_indices(len(vectors), k=1)
    same = people[first] == people[second]
    values = similarities[first, second].astype(np.float32)
    return Comparisons(genuine=values[same], impostor=values[~same])
