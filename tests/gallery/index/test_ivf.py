"""The inverted file."""

import numpy as np
import pytest

from mien.gallery.index import ivf
from mien.gallery.index.ivf import InvertedFile
from mien.gallery.index.nearest import nearest
from mien.matching.metrics import Vectors
from tests.gallery.looks import looks
from tests.gallery.people import near, people

COUNT = 3000
SUBJECTS, VECTORS = people(COUNT)
PROBES = near(VECTORS[::10], seed=5)
NONE = np.empty(0, np.int64)


def built(vectors: Vectors = VECTORS) -> InvertedFile:
    file = InvertedFile.build(vectors)
    assert file is not None
    return file


def recall(file: InvertedFile, vectors: Vectors) -> float:
    """Share of probes, of people who are there, whose nearest is a candidate."""
    best = nearest(PROBES[: len(vectors) // 10], vectors, 1)[1][:, 0]
    found = [
        each in file.candidates(PROBES[number : number + 1], 64) for number, each in enumerate(best)
    ]
    return float(np.mean(found))


def test_the_nearest_is_nearly_always_a_candidate_and_the_recall_is_said() -> None:
    file = built()
    assert file.recall >= ivf.AIM
    assert recall(file, VECTORS) >= ivf.RECALL


def test_not_all_lists_are_opened() -> None:
    file = built()
    assert file.lists == ivf.list_count(COUNT) == 64
    assert 1 <= file.probes < file.lists
    assert len(file.candidates(PROBES[:1], 10)) == 10


@pytest.mark.parametrize(
    ("samples", "lists"), [(1, 1), (4, 2), (10_000, 128), (1_000_000, 1024), (16_000_000, 4096)]
)
def test_there_are_as_many_lists_as_samples_in_a_list(samples: int, lists: int) -> None:
    assert ivf.list_count(samples) == lists


def test_the_same_vectors_give_the_same_file() -> None:
    first, second = built(), built()
    assert first.trained() == second.trained()
    np.testing.assert_array_equal(first.codes(), second.codes())
    np.testing.assert_array_equal(first.list_of, second.list_of)
    assert first.probes == second.probes


def test_lists_that_are_filled_by_us_are_those_that_faiss_fills() -> None:
    """Packed in blocks of 32, which faiss does itself when it is given vectors."""
    ours = built()
    theirs = empty(ours)
    theirs._faiss.add_with_ids(VECTORS, np.arange(COUNT))
    for probes in (PROBES, PROBES[:1]):
        np.testing.assert_array_equal(
            ours._faiss.search(probes, 20)[0], theirs._faiss.search(probes, 20)[0]
        )


def empty(file: InvertedFile) -> InvertedFile:
    no_codes = np.empty((0, file._faiss.pq.code_size), np.uint8)
    return InvertedFile.restore(file.trained(), 1.0, np.empty(0, np.uint32), no_codes)


def test_what_is_restored_answers_alike() -> None:
    file = built()
    file.remove(np.arange(2000, COUNT), NONE, NONE)
    file.add(VECTORS[2000:2100])
    again = InvertedFile.restore(file.trained(), file.recall, file.list_of.copy(), file.codes())
    assert (again.lists, again.probes, again.recall) == (file.lists, file.probes, file.recall)
    for number in range(len(PROBES)):
        probe = PROBES[number : number + 1]
        ours, theirs = (each._faiss.search(probe, 20)[0] for each in (file, again))
        np.testing.assert_array_equal(ours, theirs)


def test_what_was_learned_is_without_any_sample() -> None:
    assert len(empty(built()).candidates(PROBES, 10)) == 0


def test_rows_that_are_removed_are_no_candidates() -> None:
    file = built()
    file.remove(np.arange(1500, COUNT), NONE, NONE)
    found = file.candidates(PROBES, COUNT)
    assert len(found)
    assert found.max() < 1500
    assert recall(file, VECTORS[:1500]) >= ivf.RECALL


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_changes_leaves_the_codes_of_the_vectors(seed: int) -> None:
    """faiss's own additions and removals fail this."""
    dice, file, vectors = np.random.default_rng(seed), built(), VECTORS.copy()
    for turn in range(12):
        if turn % 3 == 2:
            more = looks(int(dice.integers(1, 100)), seed=turn)
            file.add(more)
            vectors = np.concatenate([vectors, more])
        else:
            gone = dice.permutation(len(vectors))[: dice.integers(1, 90)]
            kept = len(vectors) - len(gone)
            moved = np.setdiff1d(np.arange(kept, len(vectors)), gone)
            freed = gone[gone < kept]
            file.remove(gone, moved, freed)
            vectors[freed] = vectors[moved]
            vectors = vectors[:kept].copy()
        assert_codes_of(file, vectors)


def assert_codes_of(file: InvertedFile, vectors: Vectors) -> None:
    lists = [file._packed.read(number)[0] for number in range(file.lists)]
    np.testing.assert_array_equal(np.sort(np.concatenate(lists)), np.arange(len(vectors)))
    np.testing.assert_array_equal(file.list_of, file._faiss.quantizer.search(vectors, 1)[1][:, 0])
    np.testing.assert_array_equal(file.codes(), file._faiss.pq.compute_codes(vectors))


def test_rows_that_are_added_later_are_found() -> None:
    file = built(VECTORS[:2000])
    file.add(VECTORS[2000:])
    assert recall(file, VECTORS) >= ivf.RECALL - 0.02


def test_several_probes_have_the_candidates_of_each() -> None:
    file = built()
    alone = [file.candidates(PROBES[each : each + 1], 30) for each in range(3)]
    np.testing.assert_array_equal(file.candidates(PROBES[:3], 30), np.unique(np.concatenate(alone)))


def test_a_centroid_of_few_samples_is_dropped_and_they_go_to_the_next() -> None:
    """It would be next to the vector of somebody, and outlive the deletion of it."""
    bulk = VECTORS[:600:200]
    lonely = looks(2, seed=9)
    vectors = np.concatenate([near(np.repeat(bulk, ivf.SMALLEST_LIST, axis=0), seed=3), lonely])
    centroids, lists = ivf.sort(vectors, np.concatenate([lonely[:1], bulk, lonely[1:]]))
    np.testing.assert_array_equal(centroids, bulk)
    np.testing.assert_array_equal(lists, (vectors @ bulk.T).argmax(axis=1))


def test_what_cannot_be_searched_so_well_enough_is_not() -> None:
    """One code for a vector of a prime dimension tells too little."""
    assert InvertedFile.build(looks(2000, dim=37)) is None


@pytest.mark.parametrize(
    ("dim", "codes"), [(128, 32), (512, 128), (16, 4), (6, 1), (10, 2), (4, 1), (3, 1), (37, 1)]
)
def test_codes_divide_a_vector(dim: int, codes: int) -> None:
    assert ivf._codes_a_vector(dim) == codes
