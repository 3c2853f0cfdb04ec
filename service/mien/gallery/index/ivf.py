"""Which few samples of a large gallery are worth comparing with a probe: an inverted file.

Vectors are in lists by the nearest of a few centroids; a search opens the lists of the nearest
centroids. What is in a list is not the vector but 4 bits for each few of its values (product
quantisation, scanned in registers: André, Kermarrec and Le Scouarnec, "Cache locality is not
enough", VLDB 2015). So many more lists may be opened in the same time than if they held vectors,
and no vector is in memory twice. The candidates are compared by their vectors afterwards.
"""

import math
from collections.abc import Iterator
from typing import Any, Self, TypeAlias

import faiss
import numpy as np
import numpy.typing as npt

from mien.gallery.index.nearest import Ints, nearest, nearest_of, one_thread
from mien.gallery.index.packed import BLOCK, Codes, PackedLists
from mien.gallery.index.rows import GROWTH
from mien.matching.metrics import Vectors

SEED = 1
TRAINING_ROWS = 32
"""Vectors for each centroid, and no more, that k-means looks at."""
ITERATIONS = 8
CODEBOOK_ROWS = 20_000
VALUES_A_CODE = 4
"""Values of a vector that share a code of 4 bits: a 32nd of its memory."""
SMALLEST_LIST = 16
"""A centroid of fewer samples is close to each of them, and would outlive their deletion."""

PROBES = 2000
CANDIDATES = 128
RECALL = 0.99
"""Share of probes whose most similar sample is to be found."""
AIM = 0.992
"""Recall that PROBES samples must show: of a true recall of 0.988 they do one time in 18."""
ROUNDING = 1e-5
"""How far two ways of adding up one product may differ."""

LIST_BY_LIST = 10
"""Of faiss's ways to scan, the one with least to prepare: a fifth faster for one probe."""

ListOf: TypeAlias = npt.NDArray[np.uint32]
"""uint32 [n]."""


class InvertedFile:
    """Rows 0 to n - 1 of a gallery in lists."""

    def __init__(self, trained: Any, recall: float) -> None:
        self._faiss = trained
        self._faiss.implem = LIST_BY_LIST
        self._packed = PackedLists(trained)
        self._list_of = np.empty(0, np.uint32)
        self._size = 0
        self.recall = recall

    @classmethod
    def build(cls, vectors: Vectors) -> Self | None:
        """Learn from all of these and take them in; the same vectors give the same lists.

        None if not even all lists together show AIM.
        """
        one_thread()
        dice = np.random.default_rng(SEED)
        centroids, lists = sort(vectors, _means(vectors))
        built = cls(_trained(centroids, _some(vectors, CODEBOOK_ROWS, dice)), 0.0)
        built._append(lists.astype(np.uint32), built._encode(vectors))
        return built if built._choose_probes(vectors, *_neighbours(vectors, dice)) else None

    @classmethod
    def restore(cls, trained: bytes, recall: float, list_of: ListOf, codes: Codes) -> Self:
        """From what `trained`, `list_of` and `codes` gave."""
        restored = cls(faiss.deserialize_index(np.frombuffer(trained, np.uint8)), recall)
        restored._append(list_of, codes)
        return restored

    @property
    def lists(self) -> int:
        return int(self._faiss.nlist)

    @property
    def probes(self) -> int:
        """How many lists a search opens."""
        return int(self._faiss.nprobe)

    @property
    def list_of(self) -> ListOf:
        """Of each row its list; a view, not to be kept over a change."""
        return self._list_of[: self._size]

    def codes(self) -> Codes:
        """Of each row its code."""
        codes = np.zeros((self._size, self._faiss.pq.code_size), np.uint8)
        for number in range(self.lists):
            rows, theirs = self._packed.read(number)
            codes[rows] = theirs
        return codes

    def trained(self) -> bytes:
        """What was learned, without any row."""
        empty = faiss.clone_index(self._faiss)
        empty.reset()
        return bytes(faiss.serialize_index(empty))

    def candidates(self, probes: Vectors, count: int) -> Ints:
        """Rows, ascending: about the `count` that seem nearest to each of [P, D]."""
        if not self._size:
            return np.empty(0, np.int64)
        one_thread()
        _, rows = self._faiss.search(probes, min(count, self._size))
        found = np.sort(rows, axis=None)
        # As np.unique, which takes a tenth of a millisecond however few they are. Where faiss finds
        # fewer than it was asked for, it says -1.
        new = np.r_[found[:1] >= 0, (found[1:] != found[:-1]) & (found[1:] >= 0)]
        return found[new]

    def add(self, vectors: Vectors) -> None:
        """Take in [k, D] as rows n to n + k - 1."""
        if len(vectors):
            one_thread()
            _, lists = self._faiss.quantizer.search(vectors, 1)
            self._append(lists[:, 0].astype(np.uint32), self._encode(vectors))

    def remove(self, rows: Ints, moved: Ints, freed: Ints) -> None:
        """Drop rows, and call those that `moved` by the numbers that were `freed`."""
        names = np.arange(self._size)
        names[rows] = -1
        names[moved] = freed
        for number in np.unique(self._list_of[np.concatenate([rows, moved])]).tolist():
            entries, codes = self._packed.read(number)
            entries = names[entries]
            self._packed.replace(number, entries[entries >= 0], codes[entries >= 0])
        self._list_of[freed] = self._list_of[moved]
        self._resize(self._size - len(rows))

    def _encode(self, vectors: Vectors) -> Codes:
        codes: Codes = self._faiss.pq.compute_codes(vectors)
        return codes

    def _append(self, list_of: ListOf, codes: Codes) -> None:
        start = self._size
        self._resize(start + len(list_of))
        self._list_of[start : self._size] = list_of
        order = np.argsort(list_of, kind="stable")
        numbers, starts = np.unique(list_of[order], return_index=True)
        for number, some in zip(numbers.tolist(), np.split(order, starts)[1:], strict=True):
            self._packed.append(number, start + some, codes[some])

    def _resize(self, size: int) -> None:
        if size > len(self._list_of):
            self._list_of.resize(size + size // GROWTH, refcheck=False)
        self._size = self._faiss.ntotal = size

    def _choose_probes(self, vectors: Vectors, rows: Ints, others: Ints) -> bool:
        """Open about as few lists as show AIM; whether any number of them does."""
        best = np.einsum("pd,pd->p", vectors[rows], vectors[others])
        for probes in self._steps(vectors[rows], others):
            self._faiss.nprobe = probes
            found = [self._finds(vectors, *each) for each in zip(rows, best, strict=True)]
            self.recall = sum(found) / len(found)
            if self.recall >= AIM:
                return True
        return False

    def _steps(self, probes: Vectors, others: Ints) -> Iterator[int]:
        """From as many lists as hold AIM of the others, each a sixteenth more, to all."""
        centroids = self._faiss.quantizer.reconstruct_n(0, self.lists)
        products = probes @ centroids.T
        theirs = products[np.arange(len(probes)), self._list_of[others]]
        ranks = np.sort(1 + (products > theirs[:, None]).sum(axis=1))
        step = int(ranks[math.ceil(AIM * len(ranks)) - 1])
        while step < self.lists:
            yield step
            step += max(1, step // 16)
        yield self.lists

    def _finds(self, vectors: Vectors, row: int, best: float) -> bool:
        """Whether something as similar as the nearest other sample is among the candidates."""
        probe = vectors[row : row + 1]
        candidates = self.candidates(probe, CANDIDATES + 1)
        candidates = candidates[candidates != row]
        if not len(candidates):
            return False
        similarities, _ = nearest_of(probe, vectors, candidates, 1)
        return bool(similarities[0, 0] >= best - ROUNDING)


def list_count(samples: int) -> int:
    """The power of two next to the square root: as many centroids as samples in a list."""
    return 1 << round(math.log2(samples) / 2)


def _means(vectors: Vectors) -> Vectors:
    """Unit vectors float32 [lists, D]."""
    means = faiss.Kmeans(
        vectors.shape[1],
        list_count(len(vectors)),
        niter=ITERATIONS,
        seed=SEED,
        spherical=True,
        max_points_per_centroid=TRAINING_ROWS,
        min_points_per_centroid=1,
    )
    means.train(vectors)
    return np.asarray(means.centroids, np.float32)


def sort(vectors: Vectors, centroids: Vectors) -> tuple[Vectors, Ints]:
    """The centroids of SMALLEST_LIST vectors or more, and the nearest of these to each vector."""
    lists = nearest(vectors, centroids, 1)[1][:, 0]
    kept = np.flatnonzero(np.bincount(lists, minlength=len(centroids)) >= SMALLEST_LIST)
    homeless = ~np.isin(lists, kept)
    lists = np.searchsorted(kept, lists)
    if homeless.any():
        lists[homeless] = nearest(vectors[homeless], centroids[kept], 1)[1][:, 0]
    return centroids[kept], lists


def _trained(centroids: Vectors, some: Vectors) -> Any:
    """An empty faiss index of these lists, its codes learned from some vectors."""
    lists, dim = centroids.shape
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(centroids)
    index = faiss.IndexIVFPQFastScan(
        quantizer, dim, lists, _codes_a_vector(dim), 4, faiss.METRIC_INNER_PRODUCT, BLOCK
    )
    # By residual, tables would be made anew for each list, and many are opened.
    index.by_residual = False
    index.pq.cp.seed = SEED
    index.train(some)
    return index


def _codes_a_vector(dim: int) -> int:
    """The largest divisor of the dimension that leaves VALUES_A_CODE values or more to each."""
    most = max(1, dim // VALUES_A_CODE)
    return max(each for each in range(1, most + 1) if dim % each == 0)


def _neighbours(vectors: Vectors, dice: np.random.Generator) -> tuple[Ints, Ints]:
    """Some rows [P], and of each the other row that is most similar."""
    rows = np.sort(dice.choice(len(vectors), min(PROBES, len(vectors)), replace=False))
    _, found = nearest(vectors[rows], vectors, 2)
    return rows, np.where(found[:, 0] == rows, found[:, 1], found[:, 0])


def _some(vectors: Vectors, count: int, dice: np.random.Generator) -> Vectors:
    rows = dice.choice(len(vectors), min(count, len(vectors)), replace=False)
    return vectors[np.sort(rows)]
