"""Search against the slow, obvious scan."""

import numpy as np
import pytest

from mien.gallery.galleries import Galleries
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, MODEL, assert_same, enroll, looks, scan, scan_means


def enroll_people(galleries: Galleries, counts: list[int], seed: int) -> dict[str, Vectors]:
    """Subjects of so many samples each, enrolled in random order."""
    vectors = looks(sum(counts), seed)
    owners = np.repeat(np.arange(len(counts)), counts)
    for at in np.random.default_rng(seed).permutation(len(vectors)):
        enroll(galleries, f"person{owners[at]}", vectors[at])
    return {f"person{each}": vectors[owners == each] for each in range(len(counts))}


@pytest.mark.parametrize(
    "counts", [[1], [1] * 30, [40, 1, 1, 1], [17, 3, 29, 1, 8, 8, 2], [5] * 20], ids=str
)
def test_search_equals_a_scan(galleries: Galleries, counts: list[int]) -> None:
    people = enroll_people(galleries, counts, seed=len(counts))
    for probe in looks(20, seed=77):
        for limit in (1, 3, 100):
            found = galleries.search("staff", probe, MODEL, limit)
            assert_same(found.matches, scan(people, probe[None], limit))
            assert found.subjects == len(counts)


def test_a_subject_with_very_many_samples_crowds_nobody_out(galleries: Galleries) -> None:
    centre, *others = looks(6)
    crowd = centre + 0.05 * looks(150, seed=5)
    for vector in crowd / np.linalg.norm(crowd, axis=1, keepdims=True):
        enroll(galleries, "crowd", vector)
    for number, vector in enumerate(others):
        enroll(galleries, f"person{number}", vector)
    found = galleries.search("staff", centre, MODEL, 5)
    assert found.matches[0].subject_id == "crowd"
    assert len({match.subject_id for match in found.matches}) == 5


def test_a_match_names_the_most_similar_sample(galleries: Galleries) -> None:
    sample_ids = [enroll(galleries, "ann", look) for look in looks(9)]
    for look, sample_id in zip(looks(9), sample_ids, strict=True):
        (match,) = galleries.search("staff", look, MODEL, 5).matches
        assert match.sample_id == sample_id


def test_several_looks_of_a_probe_count_as_the_best_of_them(galleries: Galleries) -> None:
    people = enroll_people(galleries, [9, 1, 1, 4, 2, 30], seed=3)
    for seed in range(20):
        probes = looks(1 + seed % 4, seed=100 + seed)
        found = galleries.search("staff", probes, MODEL, 3)
        assert_same(found.matches, scan(people, probes, 3))


@pytest.mark.parametrize("counts", [[1], [1] * 30, [40, 1, 1, 1], [17, 3, 29, 1, 8, 8, 2]], ids=str)
def test_search_by_the_mean_equals_a_slow_loop(galleries: Galleries, counts: list[int]) -> None:
    people = enroll_people(galleries, counts, seed=len(counts))
    for seed in range(12):
        probes = looks(1 + seed % 3, seed=200 + seed)
        for limit in (1, 3, 100):
            found = galleries.search("staff", probes, MODEL, limit, "mean")
            assert_same(found.matches, scan_means(people, probes, limit))


def test_the_mean_is_the_similarity_to_the_mean_vector(galleries: Galleries) -> None:
    people = enroll_people(galleries, [5, 3, 1], seed=9)
    (probe,) = looks(1, seed=3)
    for match in galleries.search("staff", probe, MODEL, 3, "mean").matches:
        centre = people[match.subject_id].mean(axis=0)
        assert match.similarity == pytest.approx(float(probe @ centre), abs=1e-6)


def test_by_the_mean_a_deleted_subject_is_gone_and_a_new_sample_counts(
    galleries: Galleries,
) -> None:
    people = enroll_people(galleries, [4, 2, 6], seed=5)
    galleries.delete_subject("staff", "person0")
    (more,) = looks(1, seed=50)
    enroll(galleries, "person1", more)
    people = {
        "person1": np.concatenate([people["person1"], more[None]]),
        "person2": people["person2"],
    }
    for probe in looks(5, seed=70):
        found = galleries.search("staff", probe, MODEL, 5, "mean")
        assert_same(found.matches, scan_means(people, probe[None], 5))


def test_a_match_by_the_mean_names_the_most_similar_sample(galleries: Galleries) -> None:
    sample_ids = [enroll(galleries, "ann", look) for look in looks(6)]
    for look, sample_id in zip(looks(6), sample_ids, strict=True):
        (match,) = galleries.search("staff", look, MODEL, 5, "mean").matches
        assert match.sample_id == sample_id


def test_a_search_says_for_how_many_samples_a_subject_its_rates_hold(galleries: Galleries) -> None:
    enroll_people(galleries, [2, 9, 3], seed=5)
    (probe,) = looks(1, seed=3)
    assert (
        galleries.search("staff", probe, MODEL, 1).samples_per_subject == 5
    )  # 14 of 3, rounded up
    assert galleries.search("staff", probe, MODEL, 1, "mean").samples_per_subject == 2


def test_a_similarity_is_never_above_one(galleries: Galleries) -> None:
    vectors = looks(60)
    for number, vector in enumerate(vectors):
        enroll(galleries, f"person{number}", vector)
    best = [galleries.search("staff", vector, MODEL, 1).matches[0] for vector in vectors]
    assert all(0.999999 < match.similarity <= 1 for match in best)
    opposite = galleries.search("staff", -vectors[0], MODEL, 60).matches[-1]
    assert (opposite.subject_id, opposite.similarity >= -1) == ("person0", True)


def test_an_empty_gallery_matches_nobody(galleries: Galleries) -> None:
    found = galleries.search("staff", looks(1)[0], MODEL, 5)
    assert (found.matches, found.subjects, found.revision) == ((), 0, 0)


def test_equal_similarities_come_in_order_of_subject(galleries: Galleries) -> None:
    look = np.eye(DIM, dtype=np.float32)[0]
    for subject_id in ["carl", "ann", "bob"]:
        enroll(galleries, subject_id, look)
    found = galleries.search("staff", look, MODEL, 5)
    assert [match.subject_id for match in found.matches] == ["ann", "bob", "carl"]
