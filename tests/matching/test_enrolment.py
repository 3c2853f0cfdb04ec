import numpy as np
import pytest

from mien.errors import DatasetInvalid
from mien.matching.enrolment import Enrolment, enrol_split
from tests.matching.looks import looks

PEOPLE = np.array([5, 5, 5, 5, 2, 2, 2, 9, 9, 9, 9, 9, 4, 7, 7])


def test_a_split_uses_every_picture_once() -> None:
    split = enrol_split(PEOPLE, per_subject=2, gallery_people=2, seed=0)
    everything = np.concatenate([split.gallery, split.mated, split.nonmated])
    assert sorted(everything.tolist()) == list(range(len(PEOPLE)))


@pytest.mark.parametrize("seed", range(8))
def test_enrolled_people_have_their_samples_and_can_be_searched_for(seed: int) -> None:
    split = enrol_split(PEOPLE, per_subject=2, gallery_people=2, seed=seed)
    enrolled, samples = np.unique(PEOPLE[split.gallery], return_counts=True)
    assert samples.tolist() == [2, 2]
    assert set(PEOPLE[split.mated]) == set(enrolled) <= {5, 2, 9}
    assert not set(PEOPLE[split.nonmated]) & set(enrolled)


def test_the_seed_decides_who_and_which_pictures() -> None:
    galleries = [enrol_split(PEOPLE, 1, 2, seed).gallery.tolist() for seed in range(20)]
    assert galleries == [enrol_split(PEOPLE, 1, 2, seed).gallery.tolist() for seed in range(20)]
    assert len({tuple(PEOPLE[gallery]) for gallery in galleries}) > 3
    assert len({tuple(gallery) for gallery in galleries}) > 10


@pytest.mark.parametrize(("per_subject", "people"), [(2, 4), (5, 1), (1, 0), (0, 2), (4, 2)])
def test_more_than_there_is_cannot_be_enrolled(per_subject: int, people: int) -> None:
    with pytest.raises(DatasetInvalid, match="cannot be enrolled"):
        enrol_split(PEOPLE, per_subject, people, seed=0)


def test_somebody_must_stay_out() -> None:
    everybody = np.array([1, 1, 2, 2])
    with pytest.raises(DatasetInvalid, match="somebody must stay out"):
        enrol_split(everybody, 1, 2, seed=0)
    assert len(enrol_split(everybody, 1, 1, seed=0).nonmated) == 2


def test_a_split_of_vectors_takes_their_rows() -> None:
    vectors, people = looks(6, 3)
    split = enrol_split(people, 1, 3, seed=0)
    enrolment = split.of(vectors, people)
    assert (enrolment.gallery == vectors[split.gallery]).all()
    assert (enrolment.gallery_people == people[split.gallery]).all()
    assert (enrolment.probes[enrolment.mated] == vectors[split.mated]).all()
    assert (enrolment.probe_people[~enrolment.mated] == people[split.nonmated]).all()


def test_an_empty_gallery_is_refused() -> None:
    vectors, people = looks(2, 2)
    with pytest.raises(DatasetInvalid, match="the gallery is empty"):
        Enrolment(vectors[:0], people[:0], vectors, people)
