"""Every sample of a gallery at one moment, to be looked through at leisure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from mien.gallery.store.store import Store
from mien.matching.metrics import Vectors


@dataclass(frozen=True, eq=False)
class Everybody:
    """Samples in order of subject id, then of age; a copy, which no change reaches.

    `owners` int64 [n] are places in `subject_ids`, ascending; `vectors` are float32 [n, D].
    """

    model_fingerprint: str
    revision: int
    subject_ids: Sequence[str]
    sample_ids: Sequence[str]
    owners: npt.NDArray[np.int64]
    vectors: Vectors


def read(store: Store, gallery_id: str) -> Everybody:
    """To be called while nothing changes. Raises GalleryNotFound and StoreInvalid."""
    info = store.gallery(gallery_id)
    vectors = np.empty((info.samples, info.dim), np.float32)
    names: list[tuple[str, str]] = []
    for batch in store.contents(gallery_id):
        vectors[len(names) : len(names) + len(batch.keys)] = batch.vectors
        keys = batch.keys.tolist()
        known = store.names(keys)
        names += [known[key] for key in keys]
    # A sort keeps those that are equal as they are: by key, which is by age.
    order = sorted(range(len(names)), key=lambda place: names[place][0])
    groups = [(who, sum(1 for _ in these)) for who, these in groupby(names[i][0] for i in order)]
    return Everybody(
        info.model_fingerprint,
        info.revision,
        list(map(itemgetter(0), groups)),
        [names[place][1] for place in order],
        np.repeat(np.arange(len(groups)), list(map(itemgetter(1), groups))),
        vectors[order],
    )
