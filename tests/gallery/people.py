"""Vectors that look like embeddings: people in clusters."""

import numpy as np

from mien.gallery.index.nearest import Ints
from mien.gallery.index.sample_index import SampleIndex
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, looks

EACH = 5


def people(count: int, seed: int = 0, dim: int = DIM) -> tuple[Ints, Vectors]:
    """`count` samples, five of each person: whose each is (1 and up), and its vector."""
    subjects = 1 + np.arange(count) // EACH
    centres = looks(int(subjects.max(initial=0)), seed, dim)
    return subjects, near(centres[subjects - 1], seed + 1)


def near(centres: Vectors, seed: int) -> Vectors:
    """A look of each of these, of cosine about 0.95 with it."""
    raw = centres + 0.3 * looks(len(centres), seed, centres.shape[1])
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


def index_of(subjects: Ints, vectors: Vectors) -> SampleIndex:
    index = SampleIndex(vectors.shape[1], 0)
    index.add(np.arange(1, len(vectors) + 1), subjects, vectors, 1)
    return index
