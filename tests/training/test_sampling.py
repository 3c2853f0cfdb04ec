"""P×K batches and their corner cases."""

from collections import Counter

import numpy as np
import pytest

from mien.errors import RecipeInvalid
from mien_training.config.recipe import Batches
from mien_training.data import Labels
from mien_training.sampling import Rows, Sampler


def labels_of(*pictures: int) -> Labels:
    """So many pictures of person 0, 1, …"""
    return np.repeat(np.arange(len(pictures)), pictures)


def epoch(labels: Labels, p: int, k: int, number: int = 0, seed: int = 1) -> list[Rows]:
    sampler = Sampler(labels, Batches(people=p, pictures=k), seed)
    batches = list(sampler.epoch(number))
    assert len(batches) == len(sampler)
    return batches


SETS = [(10,) * 8, (4, 5, 6, 7), (1, 2, 3, 9, 30), (3, 3)]


@pytest.mark.parametrize("pictures", SETS)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_batch_has_k_pictures_of_each_of_p_people(pictures: tuple[int, ...], k: int) -> None:
    labels = labels_of(*pictures)
    for rows in epoch(labels, p=2, k=k):
        assert sorted(Counter(labels[rows].tolist()).values()) == [k, k]


@pytest.mark.parametrize("pictures", SETS)
@pytest.mark.parametrize("p", [2, 3, 4])
def test_every_picture_occurs_in_every_epoch(pictures: tuple[int, ...], p: int) -> None:
    labels = labels_of(*pictures)
    p = min(p, len(pictures))
    for number in range(3):
        seen = np.concatenate(epoch(labels, p, k=4, number=number))
        assert set(seen.tolist()) == set(range(len(labels)))


def test_where_groups_come_out_even_every_picture_occurs_once() -> None:
    rows = np.concatenate(epoch(labels_of(*(8,) * 6), p=3, k=4))
    assert sorted(rows.tolist()) == list(range(48))


def test_a_picture_repeats_within_a_batch_only_as_far_as_it_must() -> None:
    labels = labels_of(2, 3, 4, 5, 11)
    for rows in epoch(labels, p=5, k=4):
        for person, there_are in enumerate((2, 3, 4, 5, 11)):
            mine = rows[labels[rows] == person]
            assert len(set(mine.tolist())) == min(there_are, 4)


def test_a_single_picture_is_repeated_until_its_person_has_k() -> None:
    labels = labels_of(1, 5)
    for rows in epoch(labels, p=2, k=4):
        assert rows[labels[rows] == 0].tolist() == [0] * 4


@pytest.mark.parametrize("pictures", [(5, 5, 5), (3, 4, 9), (1, 1, 1, 1, 1)])
def test_the_last_batch_is_as_large_as_any_though_pictures_do_not_come_out_even(
    pictures: tuple[int, ...],
) -> None:
    batches = epoch(labels_of(*pictures), p=2, k=4)
    assert [len(rows) for rows in batches] == [8] * len(batches)


def test_every_epoch_has_as_many_batches_in_another_order() -> None:
    labels = labels_of(3, 4, 9, 6)
    sampler = Sampler(labels, Batches(people=2, pictures=4), seed=1)
    epochs = [np.concatenate(list(sampler.epoch(number))).tolist() for number in range(4)]
    assert {len(rows) for rows in epochs} == {len(sampler) * 8}
    assert len({tuple(rows) for rows in epochs}) == 4


def test_a_person_with_most_pictures_is_in_every_batch_and_others_are_drawn_again() -> None:
    labels = labels_of(2, 2, 20)
    batches = epoch(labels, p=2, k=2)
    assert len(batches) == 10
    assert all((labels[rows] == 2).any() for rows in batches)


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    labels = labels_of(*(7,) * 5)
    np.testing.assert_equal(epoch(labels, 3, 4), epoch(labels, 3, 4))
    for other in (epoch(labels, 3, 4, number=1), epoch(labels, 3, 4, seed=2)):
        assert not np.array_equal(other, epoch(labels, 3, 4))


def test_more_people_in_a_batch_than_there_are_is_refused() -> None:
    with pytest.raises(RecipeInvalid, match=r"batches.people is 4, but there are 3 people to tra"):
        Sampler(labels_of(5, 5, 5), Batches(people=4), seed=1)
