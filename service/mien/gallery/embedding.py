"""Embeddings at the door of a gallery: only finite unit vectors of its dimension come in.

faiss keeps anything silently, NaN included, and ranks it at random afterwards.
"""

import math

import numpy as np

from mien.errors import InvalidEmbedding
from mien.matching.metrics import Vectors

UNIT_TOLERANCE = 1e-3
"""How far from 1 a norm may be: what a vector of half precision loses, with a margin."""


def check_vector(vector: Vectors, dim: int) -> None:
    """Raise InvalidEmbedding unless `vector` is float32 [dim], finite and of unit norm."""
    if vector.shape != (dim,):
        raise InvalidEmbedding(
            f"the vector has shape {list(vector.shape)}; this gallery's have [{dim}]"
        )
    check_vectors(vector[None], dim)


def check_vectors(vectors: Vectors, dim: int) -> None:
    """Raise InvalidEmbedding unless `vectors` is float32 [n, dim], n > 0, each a unit vector."""
    if vectors.dtype != np.float32:
        raise InvalidEmbedding(f"the vector is of type {vectors.dtype}; convert it to float32")
    if vectors.ndim != 2 or vectors.shape[1] != dim or not len(vectors):
        raise InvalidEmbedding(
            f"the vectors have shape {list(vectors.shape)}; this gallery's have [{dim}]"
        )
    # One alone, as a search has it: NumPy takes twice as long to say the same of it.
    if len(vectors) == 1 and abs(math.hypot(*vectors[0].tolist()) - 1) <= UNIT_TOLERANCE:
        return
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    distances = np.abs(norms - 1)
    if (distances <= UNIT_TOLERANCE).all():
        return
    if not np.isfinite(vectors).all():
        raise InvalidEmbedding("the vector has values that are NaN or infinite; embed again")
    raise InvalidEmbedding(
        f"the vector has norm {norms[distances.argmax()]:.6g}, not 1 within {UNIT_TOLERANCE}; "
        "divide it by its norm"
    )
