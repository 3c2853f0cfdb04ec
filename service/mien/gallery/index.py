"""Finding the most similar samples: a FAISS index in memory, derived from the store."""

import threading
from collections import Counter
from collections.abc import Iterable

import faiss
import numpy as np
import numpy.typing as npt

from mien.gallery.records import Found, Match
from mien.matching.metrics import Vectors

FIRST_FETCH = 4
"""Samples that are fetched first for each subject that is wanted."""


class SampleIndex:
    """Exact inner product over the samples of one gallery, as of one revision.

    Searches see a change wholly or not at all. faiss crashes when it is searched during a change,
    so that one lock lets in either.
    """

    def __init__(self, dim: int, revision: int) -> None:
        self._lock = threading.Lock()
        self._faiss = faiss.IndexIDMap(faiss.IndexFlatIP(dim))
        self._names: dict[int, tuple[str, str]] = {}
        self._samples_of: Counter[str] = Counter()
        self._revision = revision

    def add(
        self, keys: list[int], names: Iterable[tuple[str, str]], vectors: Vectors, revision: int
    ) -> None:
        """Take in samples: new keys [n], (subject_id, sample_id) of each, vectors [n, D]."""
        named = dict(zip(keys, names, strict=True))
        with self._lock:
            self._faiss.add_with_ids(np.ascontiguousarray(vectors), np.array(keys, dtype=np.int64))
            self._names |= named
            self._samples_of.update(subject_id for subject_id, _ in named.values())
            self._revision = revision

    def remove(self, keys: list[int], revision: int) -> None:
        """Drop the samples of these keys, all of which it has."""
        with self._lock:
            self._faiss.remove_ids(faiss.IDSelectorBatch(np.array(keys, dtype=np.int64)))
            for key in keys:
                self._drop_name(key)
            self._revision = revision

    def _drop_name(self, key: int) -> None:
        subject_id, _ = self._names.pop(key)
        self._samples_of[subject_id] -= 1
        if not self._samples_of[subject_id]:
            del self._samples_of[subject_id]

    def search(self, probes: Vectors, limit: int) -> Found:
        """The `limit` subjects most similar to float32 [n, D] of one person, or all if fewer.

        A subject is as similar as its most similar sample is to any of the probes.
        """
        with self._lock:
            subjects = len(self._samples_of)
            matches = self._best(probes, min(limit, subjects)) if subjects else ()
            return Found(matches, subjects, len(self._names), self._revision)

    def _best(self, probes: Vectors, wanted: int) -> tuple[Match, ...]:
        # A subject with many samples may fill what is fetched: then more is. Once each probe alone
        # has met `wanted` subjects, whoever is still unmet is behind all of those.
        fetched = min(FIRST_FETCH * wanted, len(self._names))
        while True:
            similarities, keys = self._faiss.search(probes, fetched)
            met = [self._group(*hits) for hits in zip(similarities, keys, strict=True)]
            if fetched == len(self._names) or all(len(each) >= wanted for each in met):
                return _merge(met)[:wanted]
            fetched = min(2 * fetched, len(self._names))

    def _group(
        self, similarities: npt.NDArray[np.float32], keys: npt.NDArray[np.int64]
    ) -> dict[str, Match]:
        """The first, so the most similar, of each subject's hits; hits are best first."""
        best: dict[str, Match] = {}
        for similarity, key in zip(similarities.tolist(), keys.tolist(), strict=True):
            subject_id, sample_id = self._names[key]
            if subject_id not in best:
                # Rounding may carry the product of two unit vectors just past 1.
                cosine = max(-1.0, min(1.0, similarity))
                best[subject_id] = Match(subject_id, sample_id, cosine)
        return best


def _merge(met: list[dict[str, Match]]) -> tuple[Match, ...]:
    """Each subject once with its best match over all probes, best first."""
    best: dict[str, Match] = {}
    for match in (match for each in met for match in each.values()):
        known = best.get(match.subject_id)
        if known is None or match.similarity > known.similarity:
            best[match.subject_id] = match
    return tuple(sorted(best.values(), key=lambda match: (-match.similarity, match.subject_id)))
