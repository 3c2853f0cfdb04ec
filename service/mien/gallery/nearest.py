"""Inner products of probes with many vectors, by faiss, and how many threads they take.

faiss brings its own OpenMP, whose number of threads belongs to the thread that calls. A search
takes one: many searches run at once, and for one probe more threads are slower than one where the
cores are busy (measured on two cores at load 5: 56 ms instead of 2). Building takes all cores.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import faiss
import numpy as np
import numpy.typing as npt

from mien.matching.metrics import Vectors

Ints: TypeAlias = npt.NDArray[np.int64]
Similarities: TypeAlias = npt.NDArray[np.float32]


_untyped: Any = faiss  # its type stubs lack what follows
_knn_among = _untyped.knn_inner_products_by_idx
_products = _untyped.fvec_inner_products_ny
_products_among = _untyped.fvec_inner_products_by_idx


class _Cores(threading.local):
    """How many cores faiss takes for this thread; a thread starts with one."""

    def __init__(self) -> None:
        self.count = 1
        faiss.omp_set_num_threads(1)

    def take(self, count: int) -> int:
        """Take so many, and return how many it was before."""
        before, self.count = self.count, count
        faiss.omp_set_num_threads(count)
        return before


_cores = _Cores()


@contextmanager
def all_cores() -> Iterator[None]:
    """In the block, faiss takes every core that this process may use."""
    before = _cores.take(len(os.sched_getaffinity(0)))
    try:
        yield
    finally:
        _cores.take(before)


def nearest(probes: Vectors, vectors: Vectors, k: int) -> tuple[Similarities, Ints]:
    """Of each probe [P, D] the k <= n most similar of `vectors` [n, D], best first.

    Returns similarities and rows, both [P, k].
    """
    keep_cores()
    similarities, rows = faiss.knn(probes, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return similarities, rows


def nearest_of(probes: Vectors, vectors: Vectors, rows: Ints, k: int) -> tuple[Similarities, Ints]:
    """The same among `rows` [m] of `vectors` alone, k <= m."""
    keep_cores()
    similarities = np.empty((len(probes), k), np.float32)
    found = np.empty((len(probes), k), np.int64)
    pointers = [faiss.swig_ptr(each) for each in (probes, vectors, rows, similarities, found)]
    sizes = (vectors.shape[1], len(probes), len(vectors), len(rows), k)
    same_rows_for_all = 0
    _knn_among(*pointers[:3], *sizes, *pointers[3:], same_rows_for_all)
    return similarities, found


def similarities_to(probe: Vectors, vectors: Vectors, rows: Ints | None = None) -> Similarities:
    """Of one probe [D] with all of `vectors` [n, D], or with `rows` [m] of them, in their order."""
    keep_cores()
    out = np.empty(len(vectors if rows is None else rows), np.float32)
    into, of, among = (faiss.swig_ptr(each) for each in (out, probe, vectors))
    if rows is None:
        _products(into, of, among, len(probe), len(out))
    else:
        listed = faiss.swig_ptr(rows)
        _products_among(into, of, among, listed, len(probe), 1, len(out))
    return out


def keep_cores() -> None:
    """Before faiss is called: a thread that never called it has one core, not all."""
    faiss.omp_set_num_threads(_cores.count)
