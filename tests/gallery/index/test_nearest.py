"""faiss against NumPy, and on how many threads."""

import threading

import faiss
import numpy as np
import pytest

from mien.gallery.index.nearest import nearest, nearest_of, similarities_to
from tests.gallery.looks import looks

VECTORS, PROBES = looks(500, seed=1), looks(3, seed=2)
SOME = np.random.default_rng(0).permutation(500)[:77]


def test_the_nearest_are_those_of_a_sort() -> None:
    similarities, rows = nearest(PROBES, VECTORS, 9)
    products = PROBES @ VECTORS.T
    np.testing.assert_array_equal(rows, np.argsort(-products, axis=1)[:, :9])
    np.testing.assert_allclose(similarities, -np.sort(-products, axis=1)[:, :9], atol=1e-6)


@pytest.mark.parametrize("k", [1, 9, 77])
def test_the_nearest_of_some_rows_are_those_of_a_sort(k: int) -> None:
    similarities, rows = nearest_of(PROBES, VECTORS, SOME, k)
    products = PROBES @ VECTORS[SOME].T
    np.testing.assert_array_equal(rows, SOME[np.argsort(-products, axis=1)[:, :k]])
    np.testing.assert_allclose(similarities, -np.sort(-products, axis=1)[:, :k], atol=1e-6)


def test_similarities_are_products_in_order() -> None:
    products = VECTORS @ PROBES[0]
    np.testing.assert_allclose(similarities_to(PROBES[0], VECTORS), products, atol=1e-6)
    some = similarities_to(PROBES[0], VECTORS, SOME)
    np.testing.assert_allclose(some, products[SOME], atol=1e-6)


def test_a_new_thread_takes_one_core() -> None:
    counts = []

    def search() -> None:
        faiss.omp_set_num_threads(2)
        nearest(PROBES, VECTORS, 1)
        counts.append(faiss.omp_get_max_threads())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert counts == [1]
