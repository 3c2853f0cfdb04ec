"""Which few samples of a large gallery are worth comparing with a probe: an inverted file.

Vectors are in lists by the nearest of a few centroids; a search opens the lists of the nearest
centroids. What is in a list is not the vector but 4 bits for each few of its values (product
quantisation, scanned in registers: André, Kermarrec and Le Scouarnec, "Cache locality is not
enough", VLDB 2015). So many more lists may be opened in the same time than if they held vectors,
and no vector is in memory twice. The candidates are compared by their vectors afterwards.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import faiss
import numpy as np
import numpy.typing as npt

from mien.gallery.nearest import Ints, nearest, nearest_of, one_thread
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
BLOCK = 32
"""Codes that faiss scans at once, and packs together."""

PROBES = 1000
CANDIDATES = 128
RECALL = 0.99
AIM = 0.995
"""Recall that PROBES samples must show: one whose recall is below RECALL does so one time in 15."""
ROUNDING = 1e-5
"""How far two ways of adding up one product may differ."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Of each row its list, uint32 [n], and its code, uint8 [n, code bytes]."""

    lists: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.uint8]


class InvertedFile:
    """Rows of a gallery in lists. Rows are named by where their vectors are, and move with them."""

    def __init__(self, trained: Any, recall: float) -> None:
        self._faiss = trained
        self.recall = recall

    @classmethod
    def build(cls, vectors: Vectors) -> Self | None:
        """Learn from all of these and take them in; the same vectors give the same lists.

        None if not even all lists together give RECALL.
        """
        one_thread()
        dice = np.random.default_rng(SEED)
        centroids, lists = sort(vectors, _means(vectors))
        built = cls(_trained(centroids, _some(vectors, CODEBOOK_ROWS, dice)), 0.0)
        built._fill(Codes(lists.astype(np.uint32), built._faiss.pq.compute_codes(vectors)))
        return built if built._choose_probes(vectors, *_other_neighbours(vectors, dice)) else None

    @classmethod
    def restore(cls, trained: bytes, recall: float, codes: Codes) -> Self:
        """From what `trained` and `codes` gave. The rows are 0 to n - 1."""
        restored = cls(faiss.deserialize_index(np.frombuffer(trained, np.uint8)), recall)
        restored._fill(codes)
        return restored

    @property
    def lists(self) -> int:
        return int(self._faiss.nlist)

    @property
    def probes(self) -> int:
        """How many lists a search opens."""
        return int(self._faiss.nprobe)

    def candidates(self, probes: Vectors, count: int) -> Ints:
        """Rows, ascending, of which `count` or a few less are expected near each of [P, D]."""
        if not self._faiss.ntotal:
            return np.empty(0, np.int64)
        one_thread()
        _, rows = self._faiss.search(probes, min(count, self._faiss.ntotal))
        found = np.unique(rows)
        return found[found >= 0]

    def add(self, vectors: Vectors, rows: Ints) -> None:
        """Take in [n, D] under these new rows."""
        one_thread()
        self._faiss.add_with_ids(vectors, rows)

    def remove(self, rows: Ints) -> None:
        one_thread()
        self._faiss.remove_ids(rows)

    def trained(self) -> bytes:
        """What was learned, without any row."""
        empty = faiss.clone_index(self._faiss)
        empty.reset()
        return bytes(faiss.serialize_index(empty))

    def codes(self) -> Codes:
        """Of all rows, which are 0 to n - 1."""
        count, width = self._faiss.ntotal, self._faiss.pq.code_size
        all_codes = Codes(np.zeros(count, np.uint32), np.zeros((count, width), np.uint8))
        for number in range(self.lists):
            rows, codes = self._read(number)
            all_codes.lists[rows], all_codes.codes[rows] = number, codes
        return all_codes

    def _fill(self, codes: Codes) -> None:
        order = np.argsort(codes.lists, kind="stable")
        bounds = np.searchsorted(codes.lists[order], np.arange(self.lists + 1))
        for number, (start, end) in enumerate(pairwise(bounds)):
            rows = order[start:end]
            if len(rows):
                self._write(number, rows, codes.codes[rows])
        self._faiss.ntotal = len(order)

    def _write(self, number: int, rows: Ints, codes: npt.NDArray[np.uint8]) -> None:
        """Fill an empty list."""
        inverted, packer = self._inverted, self._faiss.get_CodePacker()
        blocks = -(-len(rows) // BLOCK)
        padded = np.zeros((blocks * BLOCK, codes.shape[1]), np.uint8)
        padded[: len(rows)] = codes
        packed = np.zeros((blocks, inverted.block_size), np.uint8)
        for block in range(blocks):
            flat = padded[block * BLOCK :]
            packer.pack_all(faiss.swig_ptr(flat), faiss.swig_ptr(packed[block]))
        inverted.add_entries(number, len(rows), faiss.swig_ptr(rows), faiss.swig_ptr(packed))

    def _read(self, number: int) -> tuple[Ints, npt.NDArray[np.uint8]]:
        inverted, packer = self._inverted, self._faiss.get_CodePacker()
        size, width = inverted.list_size(number), self._faiss.pq.code_size
        if not size:
            return np.empty(0, np.int64), np.empty((0, width), np.uint8)
        blocks = -(-size // BLOCK)
        packed = faiss.rev_swig_ptr(inverted.get_codes(number), blocks * inverted.block_size)
        flat = np.empty((blocks * BLOCK, width), np.uint8)
        for block in range(blocks):
            source = packed[block * inverted.block_size :]
            packer.unpack_all(faiss.swig_ptr(source), faiss.swig_ptr(flat[block * BLOCK :]))
        rows = faiss.rev_swig_ptr(inverted.get_ids(number), size)
        return np.array(rows, np.int64), flat[:size]

    @property
    def _inverted(self) -> Any:
        return faiss.downcast_InvertedLists(self._faiss.invlists)

    def _choose_probes(self, vectors: Vectors, rows: Ints, best: npt.NDArray[np.float32]) -> bool:
        """Open as few lists as show AIM; whether any number of them does."""
        for probes in _steps(self.lists):
            self._faiss.nprobe = probes
            found = [self._finds(vectors, *each) for each in zip(rows, best, strict=True)]
            self.recall = sum(found) / len(found)
            if self.recall >= AIM:
                return True
        return False

    def _finds(self, vectors: Vectors, row: int, best: float) -> bool:
        """Whether something as similar as the nearest other sample is among the candidates."""
        probe = vectors[row : row + 1]
        candidates = self.candidates(probe, CANDIDATES + 1)
        candidates = candidates[candidates != row]
        if not len(candidates):
            return False
        similarities, _ = nearest_of(probe, vectors, candidates, 1)
        return bool(similarities[0, 0] >= best - ROUNDING)


def _steps(most: int) -> Iterator[int]:
    """1 and up, each a quarter more than the one before, to `most`."""
    step = 1
    while step < most:
        yield step
        step += max(1, step // 4)
    yield most


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


def _other_neighbours(
    vectors: Vectors, dice: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Some rows [P], and how similar each one's most similar other row is."""
    rows = np.sort(dice.choice(len(vectors), min(PROBES, len(vectors)), replace=False))
    similarities, found = nearest(vectors[rows], vectors, 2)
    return rows, np.where(found[:, 0] == rows, similarities[:, 1], similarities[:, 0])


def _some(vectors: Vectors, count: int, dice: np.random.Generator) -> Vectors:
    rows = dice.choice(len(vectors), min(count, len(vectors)), replace=False)
    return vectors[np.sort(rows)]
