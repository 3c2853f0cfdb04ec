"""Inner products of probes with many vectors, by faiss, which takes one thread for them.

Many searches run at once, each on a thread of its own. faiss brings its own OpenMP, whose number of
threads belongs to the thread that calls, and whose threads spin while they wait for each other.
Where the cores are busy that costs more than it gives (on two cores at load 5: a search 56 ms
instead of 2, the building of an inverted file of 100,000 samples 14 s instead of 2).
"""

from typing import Any, TypeAlias

import faiss
import numpy as np
import numpy.typing as npt

from mien.matching.metrics import Vectors

Ints: TypeAlias = npt.NDArray[np.int64]
Similarities: TypeAlias = npt.NDArray[np.float32]
Nearest: TypeAlias = tuple[Similarities, Ints]
"""Of each probe [P] the k most similar, best first: similarities and rows, both [P, k]."""


_untyped: Any = faiss  # its type stubs lack what follows
_knn_among = _untyped.knn_inner_products_by_idx
_products = _untyped.fvec_inner_products_ny
_products_among = _untyped.fvec_inner_products_by_idx


def nearest(probes: Vectors, vectors: Vectors, k: int) -> Nearest:
    """Of each probe [P, D] the k <= n most similar of `vectors` [n, D]."""
    one_thread()
    similarities, rows = faiss.knn(probes, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return similarities, rows


def nearest_of(probes: Vectors, vectors: Vectors, rows: Ints, k: int) -> Nearest:
    """The same among `rows` [m] of `vectors` alone, k <= m."""
    one_thread()
    similarities = np.empty((len(probes), k), np.float32)
    found = np.empty((len(probes), k), np.int64)
    pointers = [faiss.swig_ptr(each) for each in (probes, vectors, rows, similarities, found)]
    sizes = (vectors.shape[1], len(probes), len(vectors), len(rows), k)
    same_rows_for_all = 0
    _knn_among(*pointers[:3], *sizes, *pointers[3:], same_rows_for_all)
    return similarities, found


def similarities_to(probe: Vectors, vectors: Vectors, rows: Ints | None = None) -> Similarities:
    """Of one probe [D] with all of `vectors` [n, D], or with `rows` [m] of them, in their order."""
    one_thread()
    out = np.empty(len(vectors if rows is None else rows), np.float32)
    into, of, among = (faiss.swig_ptr(each) for each in (out, probe, vectors))
    if rows is None:
        _products(into, of, among, len(probe), len(out))
    else:
        listed = faiss.swig_ptr(rows)
        _products_among(into, of, among, listed, len(probe), 1, len(out))
    return out


def one_thread() -> None:
    """Before faiss is called: to a thread that never said how many, it gives all cores."""
    faiss.omp_set_num_threads(1)
