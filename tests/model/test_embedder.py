from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import BundleInvalid
from mien.model.bundle import Bundle, Golden, seal
from mien.model.embedder import Embedder
from tests import bundles
from tests.faces import picture

CROPS = np.stack([picture(person, 3) for person in range(40)])


def test_vectors_are_unit_float32(bundle: Bundle) -> None:
    vectors = Embedder.of(bundle).embed(CROPS)
    assert vectors.shape == (40, bundles.DIM)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 16])
def test_a_vector_is_the_same_alone_or_in_any_batch(bundle: Bundle, size: int) -> None:
    embedder = Embedder.of(bundle)
    together = embedder.embed(CROPS)
    for start in range(0, 40, size):
        part = embedder.embed(CROPS[start : start + size])
        np.testing.assert_allclose(part, together[start : start + size], atol=1e-6)


def test_golden_vectors_of_another_network_are_refused(bundle: Bundle) -> None:
    embedder = Embedder.of(bundle)
    with pytest.raises(BundleInvalid, match="misses its golden vectors by"):
        embedder.check(Golden(CROPS, np.roll(embedder.embed(CROPS), 1, axis=0)))


def test_golden_vectors_that_are_not_finite_are_refused(bundle: Bundle) -> None:
    embedder = Embedder.of(bundle)
    vectors = embedder.embed(CROPS)
    vectors[0, 0] = np.nan
    with pytest.raises(BundleInvalid, match="misses its golden vectors by nan"):
        embedder.check(Golden(CROPS, vectors))


def test_golden_vectors_of_another_size_are_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleInvalid, match="golden vectors are"):
        Embedder.of(bundle).check(Golden(CROPS, np.zeros((40, 3), np.float32)))


def test_bytes_that_are_no_network_are_refused(tmp_path: Path) -> None:
    sealed = seal(replace(bundles.draft(), network=b"no network"), tmp_path / "b")
    with pytest.raises(BundleInvalid, match="cannot be loaded"):
        Embedder.of(sealed)
