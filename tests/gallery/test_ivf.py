"""The inverted file."""

import numpy as np
import pytest

from mien.gallery import ivf
from mien.gallery.ivf import Codes, InvertedFile
from mien.gallery.nearest import Ints, nearest
from mien.matching.metrics import Vectors
from tests.gallery.looks import looks
from tests.gallery.people import near, people

COUNT = 3000
SUBJECTS, VECTORS = people(COUNT)
PROBES = near(VECTORS[::10], seed=5)


def built(vectors: Vectors = VECTORS) -> InvertedFile:
    file = InvertedFile.build(vectors)
    assert file is not None
    return file


def recall(file: InvertedFile, vectors: Vectors, rows: Ints | None = None) -> float:
    """Share of probes whose nearest of the vectors, named by these rows, is a candidate."""
    best = nearest(PROBES, vectors, 1)[1][:, 0]
    best = best if rows is None else rows[best]
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
    np.testing.assert_array_equal(first.codes().codes, second.codes().codes)
    assert first.probes == second.probes


def test_lists_that_are_filled_by_us_are_those_that_faiss_fills() -> None:
    """Packed in blocks of 32, which faiss does itself when it is given vectors."""
    ours = built()
    theirs = InvertedFile.restore(ours.trained(), 1.0, no_codes(ours))
    theirs.add(VECTORS, np.arange(COUNT))
    for probes in (PROBES, PROBES[:1]):
        np.testing.assert_array_equal(
            ours._faiss.search(probes, 20)[0], theirs._faiss.search(probes, 20)[0]
        )
    np.testing.assert_array_equal(ours.codes().lists, theirs.codes().lists)
    np.testing.assert_array_equal(ours.codes().codes, theirs.codes().codes)


def no_codes(file: InvertedFile) -> Codes:
    width = file._faiss.pq.code_size
    return Codes(np.empty(0, np.uint32), np.empty((0, width), np.uint8))


def test_what_is_restored_answers_alike() -> None:
    file = built()
    file.remove(np.arange(2000, COUNT))
    file.add(VECTORS[2000:2100], np.arange(2000, 2100))
    again = InvertedFile.restore(file.trained(), file.recall, file.codes())
    assert (again.lists, again.probes, again.recall) == (file.lists, file.probes, file.recall)
    for number in range(len(PROBES)):
        probe = PROBES[number : number + 1]
        ours, theirs = (each._faiss.search(probe, 20)[0] for each in (file, again))
        np.testing.assert_array_equal(ours, theirs)


def test_what_was_learned_is_without_any_sample() -> None:
    file = built()
    restored = InvertedFile.restore(file.trained(), 1.0, no_codes(file))
    assert len(restored.candidates(PROBES, 10)) == 0


def test_rows_that_are_removed_are_no_candidates() -> None:
    file = built()
    gone = np.random.default_rng(0).permutation(COUNT)[:1500]
    file.remove(gone)
    found = file.candidates(PROBES, COUNT)
    assert len(found)
    assert not np.isin(found, gone).any()
    stay = np.setdiff1d(np.arange(COUNT), gone)
    assert recall(file, VECTORS[stay], stay) >= ivf.RECALL


def test_rows_that_are_added_later_are_found() -> None:
    file = built(VECTORS[:2000])
    file.add(VECTORS[2000:], np.arange(2000, COUNT))
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
