"""Finding the most similar samples: a FAISS index in memory, derived from the store."""

import threading
from collections import Counter
from collections.abc import Iterable

import faiss
import numpy as np
import numpy.typing as npt

from mien.gallery.records import Found, Match
from mien.matching.fusion import Rule
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

    def search(self, probes: Vectors, limit: int, fusion: Rule = "max") -> Found:
        """The `limit` subjects most similar to float32 [n, D] of one person, or all if fewer.

        A subject is as similar as its most similar sample is to any of the probes, or by "mean" as
        all its samples are on average to all the probes.
        """
        with self._lock:
            subjects = len(self._samples_of)
            if not subjects:
                return Found((), 0, 0, 1, self._revision)
            search = self._best if fusion == "max" else self._by_mean
            matches = search(probes, min(limit, subjects))
            counted = self._samples_per_subject(fusion)
            return Found(matches, subjects, len(self._names), counted, self._revision)

    def _samples_per_subject(self, fusion: Rule) -> int:
        """With how many samples a subject the rates of a search are not understated.

        The more samples the best is taken of, the oftener it passes a threshold, but less and less
        so: subjects of their mean number pass oftener than these do. The fewer samples a mean is
        of, the more it varies.
        """
        if fusion == "max":
            return -(-len(self._names) // len(self._samples_of))
        return min(self._samples_of.values())

    def _by_mean(self, probes: Vectors, wanted: int) -> tuple[Match, ...]:
        """Exact, by looking at every sample; a match names the sample that is most similar."""
        probe = probes.mean(axis=0, keepdims=True, dtype=np.float32)
        similarities, keys = self._faiss.search(probe, len(self._names))
        best = self._group(similarities[0], keys[0])
        sums: dict[str, float] = dict.fromkeys(best, 0.0)
        for similarity, key in zip(similarities[0].tolist(), keys[0].tolist(), strict=True):
            sums[self._names[key][0]] += similarity
        fused = [
            Match(each.subject_id, each.sample_id, _cosine(sums[name] / self._samples_of[name]))
            for name, each in best.items()
        ]
        return _best_first(fused)[:wanted]

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
                best[subject_id] = Match(subject_id, sample_id, _cosine(similarity))
        return best


def _merge(met: list[dict[str, Match]]) -> tuple[Match, ...]:
    """Each subject once with its best match over all probes, best first."""
    best: dict[str, Match] = {}
    for match in (match for each in met for match in each.values()):
        known = best.get(match.subject_id)
        if known is None or match.similarity > known.similarity:
            best[match.subject_id] = match
    return _best_first(best.values())


def _best_first(matches: Iterable[Match]) -> tuple[Match, ...]:
    return tuple(sorted(matches, key=lambda match: (-match.similarity, match.subject_id)))


def _cosine(similarity: float) -> float:
    """Rounding may carry the product of two unit vectors just past 1."""
    return max(-1.0, min(1.0, similarity))
