import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.matching.fusion import RULES, Rule, fuse


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.sampled_from(RULES))
def test_fusing_equals_a_slow_loop(subjects: list[int], rule: Rule) -> None:
    random = np.random.default_rng(len(subjects))
    similarities = random.uniform(-1, 1, (3, len(subjects))).astype(np.float32)
    fused = fuse(similarities, np.array(subjects), rule)
    assert fused.shape == (3, len(set(subjects)))
    for column, subject in enumerate(sorted(set(subjects))):
        for row in range(3):
            mine = [similarities[row, k] for k, s in enumerate(subjects) if s == subject]
            expected = max(mine) if rule == "max" else sum(mine) / len(mine)
            assert fused[row, column] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_one_sample_each_is_left_as_it_is(rule: Rule) -> None:
    similarities = np.array([[0.25, -0.5, 0.75]], np.float32)
    assert fuse(similarities, np.array([3, 1, 2]), rule).tolist() == [[-0.5, 0.75, 0.25]]


def test_no_probes_fuse_to_nothing() -> None:
    assert fuse(np.zeros((0, 4), np.float32), np.array([0, 0, 1, 1]), "max").shape == (0, 2)
