"""Arrays of samples against a dictionary, means by subject against a loop."""

import numpy as np
import pytest

from mien.gallery.index import rows as rows_module
from mien.gallery.index.rows import Groups, Rows
from mien.matching.fusion import fuse
from tests.gallery.looks import looks

Model = dict[int, tuple[int, bytes]]


def held(rows: Rows) -> Model:
    return {
        key: (subject, vector.tobytes())
        for key, subject, vector in zip(
            rows.keys.tolist(), rows.subjects.tolist(), rows.vectors, strict=True
        )
    }


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_changes_leaves_what_a_dictionary_has(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "ROOM", 3)
    dice = np.random.default_rng(seed)
    rows, model, newest = Rows(4), Model(), 0
    for turn in range(60):
        count = int(dice.integers(0, 9))
        keys = np.arange(newest + 1, newest + 1 + count)
        subjects, vectors = dice.integers(0, 5, count), looks(count, seed=turn, dim=4)
        newest += count
        added = rows.add(keys, subjects, vectors)
        assert (rows.keys[added] == keys).all()
        model |= held_of(keys, subjects, vectors)
        gone = dice.permutation(list(model))[: dice.integers(0, 9)].astype(np.int64)
        rows.remove(rows.of_keys(gone))
        for key in gone.tolist():
            del model[key]
        assert held(rows) == model
        assert len(rows) == len(model)


def held_of(keys: np.ndarray, subjects: np.ndarray, vectors: np.ndarray) -> Model:
    triples = zip(keys.tolist(), subjects.tolist(), vectors, strict=True)
    return {key: (subject, vector.tobytes()) for key, subject, vector in triples}


def five() -> Rows:
    rows = Rows(2)
    rows.add(np.arange(10, 15), np.array([1, 1, 2, 3, 3]), looks(5, dim=2))
    return rows


def test_the_last_rows_take_the_places_of_those_that_go() -> None:
    rows = five()
    moved, freed = rows.remove(np.array([0, 4]))
    assert (moved.tolist(), freed.tolist()) == ([3], [0])
    assert rows.keys.tolist() == [13, 11, 12]


def test_rows_that_go_leave_no_value_in_memory() -> None:
    rows = five()
    rows.remove(np.array([1, 2]))
    assert not rows._memory.vectors[3:5].any()
    assert not rows._keys[3:5].any()


def test_keys_that_are_not_there_have_no_row() -> None:
    assert five().of_keys(np.array([12, 99, 10])).tolist() == [0, 2]


def test_subjects_are_known_by_their_samples() -> None:
    rows = five()
    assert [rows.known(np.array(some)) for some in ([1, 2, 3], [2, 7], [7], [])] == [3, 1, 0, 0]
    rows.remove(np.array([2]))
    assert rows.known(np.array([2])) == 0


def test_arrays_grow_by_little() -> None:
    rows = Rows(2, capacity=100_000)
    rows.extend(100_001)
    assert 100_001 < len(rows._keys) < 104_000
    assert len(rows) == 100_001


def test_growing_keeps_what_is_there() -> None:
    rows = five()
    before = held(rows)
    rows.extend(5000)
    assert held_of(rows.keys[:5], rows.subjects[:5], rows.vectors[:5]) == before


@pytest.mark.parametrize("count", [1, 2, 50])
def test_means_and_best_rows_are_those_of_a_loop(count: int) -> None:
    dice = np.random.default_rng(count)
    subjects = dice.integers(0, 9, count) * 1000
    similarities = dice.uniform(-1, 1, count).astype(np.float32)
    groups = Groups(subjects)
    distinct = sorted(set(subjects.tolist()))
    for group, subject in enumerate(distinct):
        rows = [row for row in range(count) if subjects[row] == subject]
        mean = sum(float(similarities[row]) for row in rows) / len(rows)
        assert groups.means(similarities)[group] == pytest.approx(mean)
        assert groups.best(group, similarities) == max(rows, key=lambda row: similarities[row])
        assert groups.counts[group] == len(rows)


def test_means_are_those_by_which_the_rule_was_calibrated() -> None:
    dice = np.random.default_rng(1)
    subjects = dice.integers(0, 9, 70)
    similarities = dice.uniform(-1, 1, 70).astype(np.float32)
    fused = fuse(similarities[None], subjects, "mean")[0]
    np.testing.assert_allclose(Groups(subjects).means(similarities), fused, atol=1e-6)
