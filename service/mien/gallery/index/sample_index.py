"""Finding the most similar samples of a gallery in memory, derived from the store."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from mien.gallery.index.ivf import CANDIDATES, InvertedFile
from mien.gallery.index.nearest import (
    Ints,
    Nearest,
    Similarities,
    nearest,
    nearest_of,
    similarities_to,
)
from mien.gallery.index.readers_writer import ReadersWriterLock
from mien.gallery.index.rows import Groups, Rows, count_distinct
from mien.matching.fusion import Rule
from mien.matching.metrics import Vectors

FIRST_FETCH = 4
"""Samples that are fetched first for each subject that is wanted."""

CANDIDATES_A_SUBJECT = 8
"""Of an inverted file, where that is more than CANDIDATES."""

INVERTED_FROM = 200_000
"""Samples from which on there is an inverted file; docs/galleries.md has what was measured."""

BUILT_ANEW = 2
"""It is built anew when the gallery is so many times as large as when it was built."""

Find: TypeAlias = Callable[[int], Nearest]


@dataclass(frozen=True)
class IndexStats:
    """How a gallery is searched: every sample is looked at ("exact"), or by an inverted file.

    `recall` is the share of samples whose most similar other one was found when it was built, and
    1 if exact; `probes` of the `lists` are opened.
    """

    kind: str
    samples: int
    subjects: int
    revision: int
    lists: int
    probes: int
    recall: float


@dataclass(frozen=True, eq=False)
class Hits:
    """The most similar subjects, best first, each by the key of its most similar sample [k].

    They are of `subjects` with `samples` that were searched, as of `revision`.
    """

    keys: Ints
    similarities: Similarities
    subjects: int
    samples: int
    samples_per_subject: int
    revision: int


class SampleIndex:
    """Inner product over the samples of one gallery, as of one revision.

    Searches run beside each other and see a change wholly or not at all. Changes, and `tend`,
    come one at a time: whoever makes them sees to that.
    """

    def __init__(
        self,
        dim: int,
        revision: int,
        rows: Rows | None = None,
        inverted: InvertedFile | None = None,
        nearest: Callable[[Vectors, Vectors, int], Nearest] = nearest,
    ) -> None:
        """`nearest` looks at every vector, as `mien.gallery.index.nearest.nearest` does."""
        self._nearest = nearest
        self._turns = ReadersWriterLock()
        self._rows = Rows(dim) if rows is None else rows
        self._inverted = inverted
        self._considered = len(self._rows) if inverted else 0
        self._subjects = count_distinct(self._rows.subjects)
        self._newest = int(self._rows.keys.max(initial=0))
        self._newest_subject = int(self._rows.subjects.max(initial=0))
        self._revision = revision
        self._groups: Groups | None = None
        self._grouping = threading.Lock()

    @property
    def newest(self) -> int:
        """The largest key that was ever taken in, 0 if none was."""
        return self._newest

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def rows(self) -> Rows:
        """What is searched. For the one who makes the changes, to read between two of them."""
        return self._rows

    @property
    def inverted(self) -> InvertedFile | None:
        """As `rows`."""
        return self._inverted

    def add(self, keys: Ints, subjects: Ints, vectors: Vectors, revision: int) -> None:
        """Take in samples: new keys [n], their subjects' [n], vectors [n, D]."""
        with self._turns.writing():
            self._subjects += self._count_new(set(subjects.tolist()))
            self._rows.add(keys, subjects, vectors)
            if self._inverted:
                self._inverted.add(np.ascontiguousarray(vectors))
            self._newest = max(self._newest, int(keys.max(initial=0)))
            self._changed(revision)

    def remove(self, keys: Ints, revision: int) -> None:
        """Drop the samples of those of these keys that it has."""
        with self._turns.writing():
            rows = self._rows.of_keys(keys)
            distinct = np.unique(self._rows.subjects[rows])
            moved, freed = self._rows.remove(rows)
            self._subjects -= len(distinct) - self._rows.known(distinct)
            if self._inverted:
                self._inverted.remove(rows, moved, freed)
            self._changed(revision)

    def move(self, keys: Ints, subject: int, revision: int) -> None:
        """Make the samples of these keys a subject's."""
        with self._turns.writing():
            self._rows.subjects[self._rows.of_keys(keys)] = subject
            self._subjects = count_distinct(self._rows.subjects)
            self._changed(revision)

    def note(self, revision: int) -> None:
        """There was a change that the index has no part in."""
        with self._turns.writing():
            self._revision = revision

    def tend(self) -> bool:
        """Build an inverted file, or drop it, if the size asks for it; whether one was built.

        Searches go on meanwhile, without it.
        """
        samples = len(self._rows)
        if samples < INVERTED_FROM // BUILT_ANEW:
            self._considered, built = 0, None
        elif samples < max(INVERTED_FROM, BUILT_ANEW * self._considered):
            return False
        else:
            self._considered, built = samples, InvertedFile.build(self._rows.vectors)
        if built is not self._inverted:
            with self._turns.writing():
                self._inverted = built
        return built is not None

    def stats(self) -> IndexStats:
        with self._turns.reading():
            lists, probes, recall = 0, 0, 1.0
            if file := self._inverted:
                lists, probes, recall = file.lists, file.probes, file.recall
            kind = "inverted file" if file else "exact"
            counts = (len(self._rows), self._subjects, self._revision)
            return IndexStats(kind, *counts, lists, probes, recall)

    def search(
        self,
        probes: Vectors,
        limit: int,
        fusion: Rule = "max",
        *,
        exact: bool = False,
        among: Ints | None = None,
    ) -> Hits:
        """The `limit` subjects most similar to float32 [n, D] of one person, or all if fewer.

        A subject is as similar as its most similar sample is to any of the probes, or by "mean" as
        all its samples are on average to all the probes. Every sample is looked at if `exact` is
        asked for, by "mean", and where only the samples of the keys `among` are searched.
        """
        with self._turns.reading():
            return self._hits(probes, limit, fusion, exact, among)

    def search_each(self, probes: Vectors, limit: int, fusion: Rule = "max") -> list[Hits]:
        """As `search`, for float32 [P, D] of as many people, all as of one revision.

        Where every sample is looked at, that is one product of matrices: the similarities may
        differ from those of `search` by their rounding.
        """
        with self._turns.reading():
            if fusion == "max" and not self._inverted and self._subjects:
                return self._exactly(probes, min(limit, self._subjects))
            return [self._hits(probe[None], limit, fusion, False, None) for probe in probes]

    def _exactly(self, probes: Vectors, wanted: int) -> list[Hits]:
        fetched = min(FIRST_FETCH * wanted, len(self._rows))
        similarities, rows = self._nearest(probes, self._rows.vectors, fetched)
        hits = []
        for at, probe in enumerate(probes):
            if fetched == len(self._rows) or len(self._firsts(rows[at])) >= wanted:
                best = self._first_of_each(rows[at : at + 1], similarities[at : at + 1], wanted)
            else:
                best = self._best(probe[None], wanted, None, exact=True)
            hits.append(self._named(*best, self._subjects, len(self._rows)))
        return hits

    def _hits(
        self, probes: Vectors, limit: int, fusion: Rule, exact: bool, among: Ints | None
    ) -> Hits:
        rows = None if among is None else self._rows.of_keys(among)
        subjects = self._subjects if rows is None else self._count(rows)
        if not subjects:
            nobody = np.empty(0, np.int64), np.empty(0, np.float32)
            return Hits(*nobody, 0, 0, 1, self._revision)
        wanted = min(limit, subjects)
        samples = len(self._rows) if rows is None else len(rows)
        if fusion == "mean":
            best, similarities, counted = self._by_mean(probes, wanted, rows)
            keys = self._rows.keys[best]
            return Hits(keys, similarities, subjects, samples, counted, self._revision)
        return self._named(*self._best(probes, wanted, rows, exact), subjects, samples)

    def _named(self, best: Ints, similarities: Similarities, subjects: int, samples: int) -> Hits:
        """Rows that were found by the best of each subject's samples.

        The more samples the best is taken of, the oftener it passes a threshold, but less and less
        so: subjects of their mean number pass oftener than these do.
        """
        counted = -(-samples // subjects)
        keys = self._rows.keys[best]
        return Hits(keys, similarities, subjects, samples, counted, self._revision)

    def _count_new(self, subjects: set[int]) -> int:
        """How many have no sample here. A key above all others is new: nobody is looked through."""
        older = [each for each in subjects if each <= self._newest_subject]
        self._newest_subject = max(self._newest_subject, *subjects, 0)
        return len(subjects) - (self._rows.known(np.array(older, np.int64)) if older else 0)

    def _changed(self, revision: int) -> None:
        self._revision = revision
        self._groups = None

    def _count(self, rows: Ints) -> int:
        return count_distinct(self._rows.subjects[rows])

    def _best(
        self, probes: Vectors, wanted: int, among: Ints | None, exact: bool
    ) -> tuple[Ints, Similarities]:
        vectors = self._rows.vectors
        if among is not None:
            return self._fetch(partial(nearest_of, probes, vectors, among), len(among), wanted)
        if self._inverted and not exact:
            count = max(CANDIDATES, CANDIDATES_A_SUBJECT * wanted)
            near = self._inverted.candidates(probes, count)
            found = self._fetch(partial(nearest_of, probes, vectors, near), len(near), wanted)
            if len(found[0]) == wanted:
                return found
        return self._fetch(partial(self._nearest, probes, vectors), len(vectors), wanted)

    def _fetch(self, find: Find, available: int, wanted: int) -> tuple[Ints, Similarities]:
        """The most similar row of each of `wanted` subjects, or of all that are available."""
        # A subject with many samples may fill what is fetched: then more is. Once each probe alone
        # has met `wanted` subjects, whoever is still unmet is behind all of those.
        fetched = min(FIRST_FETCH * wanted, available)
        while True:
            similarities, rows = find(fetched)
            if fetched == available or all(len(self._firsts(each)) >= wanted for each in rows):
                return self._first_of_each(rows, similarities, wanted)
            fetched = min(2 * fetched, available)

    def _first_of_each(
        self, rows: Ints, similarities: Similarities, wanted: int
    ) -> tuple[Ints, Similarities]:
        """Of what each probe met [P, k], best first, the best row of the `wanted` best subjects."""
        if len(rows) > 1:
            order = np.argsort(-similarities, axis=None, kind="stable")
            rows, similarities = rows.ravel()[order][None], similarities.ravel()[order][None]
        best = self._firsts(rows[0])[:wanted]
        return rows[0, best], similarities[0, best]

    def _firsts(self, rows: Ints) -> list[int]:
        """Where among rows each subject comes first.

        By a dictionary: for so few, sorting and np.unique take twice as long.
        """
        firsts: dict[int, int] = {}
        for at, subject in enumerate(self._rows.subjects[rows].tolist()):
            firsts.setdefault(subject, at)
        return list(firsts.values())

    def _by_mean(
        self, probes: Vectors, wanted: int, among: Ints | None
    ) -> tuple[Ints, Similarities, int]:
        """Exact; a subject is named by its most similar sample.

        The number is the samples per subject with which its rates are not understated: the fewer
        samples a mean is of, the more it varies.
        """
        probe = probes.mean(axis=0, dtype=np.float32)
        similarities = similarities_to(probe, self._rows.vectors, among)
        groups = self._grouped() if among is None else Groups(self._rows.subjects[among])
        means = groups.means(similarities)
        best = np.argpartition(-means, wanted - 1)[:wanted]
        best = best[np.argsort(-means[best], kind="stable")]
        rows = np.array([groups.best(each, similarities) for each in best], np.int64)
        fused = means[best].astype(np.float32)
        return rows if among is None else among[rows], fused, int(groups.counts.min())

    def _grouped(self) -> Groups:
        with self._grouping:
            if self._groups is None:
                self._groups = Groups(self._rows.subjects)
            return self._groups
