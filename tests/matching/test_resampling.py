from itertools import combinations

import numpy as np
import pytest

from mien.errors import DatasetInvalid, InvalidEmbedding
from mien.matching import metrics, resampling
from mien.matching.metrics import People, Similarities, Vectors
from mien.matching.resampling import (
    Draws,
    Pairs,
    draw,
    impostor_weight,
    resample_pairs,
    resample_rates,
)
from tests.matching.looks import looks, on_a_grid

THRESHOLDS = np.array([-0.5, 0.0, 0.25, 0.5, 1.5], np.float32)
SEED = 5


def slow_rates(
    similarities: list[float], pairs: list[tuple[int, int]], drawn: Draws, threshold: float
) -> tuple[list[float], list[float]]:
    """FMR and FNMR of each resample, by going through its people one by one."""
    people = sorted({person for pair in pairs for person in pair})
    fmrs, fnmrs = [], []
    for times in drawn.T:
        hits, misses, genuine, impostor = 0.0, 0.0, 0.0, 0.0
        count = dict(zip(people, times.tolist(), strict=True))
        for similarity, (a, b) in zip(similarities, pairs, strict=True):
            if a == b:
                genuine += count[a]
                misses += count[a] * (similarity < threshold)
            else:
                impostor += count[a] * count[b]
                hits += count[a] * count[b] * (similarity >= threshold)
        fmrs.append(hits / impostor if impostor else np.nan)
        fnmrs.append(misses / genuine if genuine else np.nan)
    return fmrs, fnmrs


def every_pair(vectors: Vectors, people: People) -> tuple[Similarities, Pairs]:
    first, second = np.array([*combinations(range(len(people)), 2)]).T
    similarities = np.array([vectors[a] @ vectors[b] for a, b in zip(first, second, strict=True)])
    return similarities, Pairs(people[first], people[second])


def test_a_resample_draws_as_many_people_as_there_are() -> None:
    drawn = draw(9, SEED, resamples=2000)
    assert drawn.shape == (9, 2000)
    assert (drawn.sum(0) == 9).all()
    assert drawn.mean(1) == pytest.approx(np.ones(9), abs=0.1)
    assert (drawn == draw(9, SEED, resamples=2000)).all()
    assert (drawn != draw(9, SEED + 1, resamples=2000)).any()


@pytest.mark.parametrize(("people", "shots"), [(2, 3), (5, 1), (7, 4)])
@pytest.mark.parametrize("block_rows", [2, 256])
@pytest.mark.parametrize("cells", [1, 50, 1 << 22])
def test_resampling_all_comparisons_equals_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch, people: int, shots: int, block_rows: int, cells: int
) -> None:
    monkeypatch.setattr(metrics, "BLOCK_ROWS", block_rows)
    monkeypatch.setattr(resampling, "CELLS", cells)
    vectors, owners = looks(people, shots)
    vectors = on_a_grid(vectors)
    found = resample_rates(vectors, owners, THRESHOLDS, SEED)
    similarities, pairs = every_pair(vectors, owners)
    both = [*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)]
    for at, threshold in enumerate(THRESHOLDS.tolist()):
        fmr, fnmr = slow_rates(similarities.tolist(), both, draw(people, SEED), threshold)
        np.testing.assert_allclose(found.fmr[:, at], fmr, rtol=1e-5)
        np.testing.assert_allclose(found.fnmr[:, at], fnmr, rtol=1e-5, atol=1e-9)
    assert found.impostor_pairs == people * (people - 1) // 2
    assert found.genuine_people == (people if shots > 1 else 0)


def test_given_pairs_that_are_all_pairs_give_the_rates_of_all_comparisons() -> None:
    vectors, owners = looks(6, 3)
    vectors = on_a_grid(vectors)
    everything = resample_rates(vectors, owners, THRESHOLDS, SEED)
    listed = resample_pairs(*every_pair(vectors, owners), THRESHOLDS, SEED)
    np.testing.assert_allclose(listed.fmr, everything.fmr, rtol=1e-5)
    np.testing.assert_allclose(listed.fnmr, everything.fnmr, rtol=1e-5, atol=1e-9)
    assert listed.impostor_pairs == everything.impostor_pairs
    assert listed.genuine_people == everything.genuine_people


@pytest.mark.parametrize("chunk", [3, 4096])
def test_resampling_given_pairs_equals_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    both = [(3, 3), (9, 3), (3, 9), (4, 8), (8, 8), (4, 4), (8, 9)]
    values = [0.5, 0.1, 0.6, 0.25, 0.9, -0.7, 0.25]
    first, second = np.array(both).T
    found = resample_pairs(np.array(values, np.float32), Pairs(first, second), THRESHOLDS, SEED)
    for at, threshold in enumerate(THRESHOLDS.tolist()):
        fmr, fnmr = slow_rates(values, both, draw(4, SEED), threshold)
        np.testing.assert_allclose(found.fmr[:, at], fmr, rtol=1e-5)
        np.testing.assert_allclose(found.fnmr[:, at], fnmr, rtol=1e-5, atol=1e-9)
    assert found.impostor_pairs == 3  # 3-9 occurs in both orders
    assert found.genuine_people == 3


def test_the_weight_of_impostor_pairs_is_the_product_of_draw_counts() -> None:
    drawn = draw(8, SEED)
    counts = np.zeros((2, 3, 8), np.float32)  # of persons 0 and 1, in three bins
    counts[0, 0, 5], counts[0, 2, 7], counts[1, 2, 6] = 2, 1, 4
    slow = [2 * drawn[0] * drawn[5], 0 * drawn[0], drawn[0] * drawn[7] + 4 * drawn[1] * drawn[6]]
    np.testing.assert_array_equal(impostor_weight(counts, drawn), slow)


def test_a_resample_of_one_person_has_no_fmr() -> None:
    vectors, owners = looks(2, 2)
    found = resample_rates(vectors, owners, THRESHOLDS, SEED)
    alone = (draw(2, SEED) == 2).any(0)
    assert 400 < alone.sum() < 600
    assert (np.isnan(found.fmr).all(1) == alone).all()
    assert not np.isnan(found.fnmr).any()


def test_one_person_alone_has_an_fnmr() -> None:
    vectors, owners = looks(1, 4)
    found = resample_rates(vectors, owners, THRESHOLDS, SEED)
    assert np.isnan(found.fmr).all()
    assert (found.fnmr[:, -1] == 1).all()


def test_pairs_of_one_person_are_refused() -> None:
    one = np.array([4, 4])
    with pytest.raises(DatasetInvalid, match="of 1 people; intervals need two"):
        Pairs(one, one).numbered()


def test_a_vector_that_is_not_finite_is_refused() -> None:
    vectors, owners = looks(4, 2)
    vectors[5] = np.nan
    with pytest.raises(InvalidEmbedding, match="not numbers"):
        resample_rates(vectors, owners, THRESHOLDS, SEED)
    similarities, pairs = every_pair(vectors, owners)
    with pytest.raises(InvalidEmbedding, match="7 of 28 similarities are not numbers"):
        resample_pairs(similarities, pairs, THRESHOLDS, SEED)
