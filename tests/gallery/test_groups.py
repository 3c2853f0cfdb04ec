"""Means by subject against a loop."""

import numpy as np
import pytest

from mien.gallery.groups import Groups
from mien.matching.fusion import fuse


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
