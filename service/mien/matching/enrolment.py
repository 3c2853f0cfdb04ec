"""Who of a labelled set is enrolled, and with what the gallery is searched."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid
from mien.matching.metrics import People, Vectors


@dataclass(frozen=True)
class Enrolment:
    """A gallery and the probes that it is searched for."""

    gallery: Vectors
    """[S, D], samples."""
    gallery_people: People
    """[S], the subject of each."""
    probes: Vectors
    """[P, D]. Those of somebody in the gallery are mated."""
    probe_people: People
    """[P]"""

    def __post_init__(self) -> None:
        if not len(self.gallery):
            raise DatasetInvalid("the gallery is empty; enrol somebody")

    @property
    def mated(self) -> npt.NDArray[np.bool_]:
        """[P], the probe's person is in the gallery."""
        return np.isin(self.probe_people, self.gallery_people)


@dataclass(frozen=True)
class Split:
    """Indices into the N pictures of a labelled set, each ascending, none in two of them."""

    gallery: npt.NDArray[np.int64]
    mated: npt.NDArray[np.int64]
    """Other pictures of the people in the gallery."""
    nonmated: npt.NDArray[np.int64]
    """All pictures of everybody else."""

    def of(self, vectors: Vectors, people: People) -> Enrolment:
        """The vectors [N, D] of the pictures, enrolled or not."""
        probes = np.concatenate([self.mated, self.nonmated])
        return Enrolment(
            vectors[self.gallery], people[self.gallery], vectors[probes], people[probes]
        )


def enrol_split(people: People, per_subject: int, gallery_people: int, seed: int) -> Split:
    """Draw so many people and `per_subject` pictures of each, for a gallery.

    Only people with a picture more than that are drawn, so that each can be searched for.
    Raises DatasetInvalid if they are too few, or if nobody is left to be no match.
    """
    known, counts = np.unique(people, return_counts=True)
    able = known[counts > per_subject]
    if not 1 <= gallery_people <= len(able) or gallery_people == len(known) or per_subject < 1:
        raise DatasetInvalid(
            f"{gallery_people} people cannot be enrolled with {per_subject} pictures each: of "
            f"{len(known)} people {len(able)} have a picture more than that, and somebody must "
            "stay out; enrol fewer people or fewer pictures"
        )
    random = np.random.default_rng(seed)
    enrolled = random.choice(able, gallery_people, replace=False)
    shuffled = random.permutation(len(people))
    chosen = [shuffled[people[shuffled] == person][:per_subject] for person in enrolled]
    gallery = np.sort(np.concatenate(chosen))
    of_enrolled = np.isin(people, enrolled)
    mated = np.setdiff1d(np.flatnonzero(of_enrolled), gallery)
    return Split(gallery, mated, np.flatnonzero(~of_enrolled))
