"""Vectors to enrol, and the slow, obvious search that the fast one must equal."""

import hashlib

import numpy as np

from mien.gallery.galleries import Galleries
from mien.gallery.records import Match
from mien.matching.metrics import Vectors

DIM = 16
MODEL = "sha256:model-a"


def looks(count: int, seed: int = 0, dim: int = DIM) -> Vectors:
    """Random unit vectors, float32 [count, dim]."""
    raw = np.random.default_rng(seed).normal(size=(count, dim))
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), dtype=np.float32)


def sha256(vector: Vectors) -> str:
    return hashlib.sha256(vector.tobytes()).hexdigest()


def enroll(
    galleries: Galleries, subject_id: str, vector: Vectors, gallery_id: str = "staff"
) -> str:
    """Enrol and return the sample's id."""
    enrolled = galleries.enroll(gallery_id, subject_id, vector, MODEL, sha256(vector))
    return enrolled.sample.sample_id


def scan(people: dict[str, Vectors], probes: Vectors, limit: int) -> list[tuple[str, float]]:
    """Every subject's largest similarity to any probe; the `limit` best, best first."""
    best = {
        subject_id: float((vectors.astype(np.float64) @ probes.astype(np.float64).T).max())
        for subject_id, vectors in people.items()
    }
    return sorted(best.items(), key=lambda item: -item[1])[:limit]


def scan_means(people: dict[str, Vectors], probes: Vectors, limit: int) -> list[tuple[str, float]]:
    """The same by "mean": the average over every pair of a sample and a probe, one at a time."""
    mean = {
        subject_id: sum(
            float(sample.astype(np.float64) @ probe) for sample in vectors for probe in probes
        )
        / (len(vectors) * len(probes))
        for subject_id, vectors in people.items()
    }
    return sorted(mean.items(), key=lambda item: -item[1])[:limit]


def assert_same(matches: tuple[Match, ...], expected: list[tuple[str, float]]) -> None:
    """Same subjects in the same order, similarities equal but for rounding."""
    assert [match.subject_id for match in matches] == [subject_id for subject_id, _ in expected]
    np.testing.assert_allclose(
        [match.similarity for match in matches], [score for _, score in expected], atol=1e-6
    )


def assert_index_equals_store(
    galleries: Galleries, subject_ids: list[str], gallery_id: str = "staff", dim: int = DIM
) -> None:
    """A scan of what the store holds finds what the index finds, down to the last subject.

    Exactly: by an inverted file a search may miss one, at the rate that it says.
    """
    people = {each: galleries.vectors(gallery_id, each, MODEL) for each in subject_ids}
    info = galleries.get(gallery_id)
    assert info.subjects == len(people)
    assert info.samples == sum(map(len, people.values()))
    for probe in looks(5, seed=99, dim=dim):
        found = galleries.search(gallery_id, probe, MODEL, limit=len(people) + 1, exact=True)
        assert (found.subjects, found.samples, found.revision) == (
            info.subjects,
            info.samples,
            info.revision,
        )
        assert_same(found.matches, scan(people, probe[None], len(people)))
