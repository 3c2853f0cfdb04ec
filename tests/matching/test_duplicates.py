"""Everybody with everybody by blocks, against one comparison at a time."""

from dataclasses import dataclass

import numpy as np
import pytest

from mien.matching import duplicates
from mien.matching.duplicates import Ints, Pair, at_least, find
from mien.matching.fusion import RULES, Rule
from mien.matching.metrics import Vectors

DIM = 8


@dataclass(frozen=True)
class Slow:
    """The obvious version: a loop over all pairs of samples of each pair of subjects."""

    vectors: Vectors
    subjects: Ints
    rule: Rule

    def alike(self, one: list[int], other: list[int]) -> float:
        each = [
            float(self.vectors[a].astype(np.float64) @ self.vectors[b].astype(np.float64))
            for a in one
            for b in other
        ]
        return max(each) if self.rule == "max" else sum(each) / len(each)

    def of(self, subject: int) -> list[int]:
        return np.flatnonzero(self.subjects == subject).tolist()

    def pairs(self, threshold: float) -> list[Pair]:
        everyone = range(int(self.subjects.max()) + 1)
        found = [
            Pair(a, b, self.alike(self.of(a), self.of(b)))
            for a in everyone
            for b in everyone
            if a < b
        ]
        return sorted(
            (each for each in found if each.similarity >= threshold),
            key=lambda pair: -pair.similarity,
        )

    def misfits(self, threshold: float) -> list[tuple[int, float, int | None]]:
        found = []
        for row, subject in enumerate(self.subjects.tolist()):
            others = [each for each in self.of(subject) if each != row]
            if others and (own := self.alike([row], others)) < threshold:
                found.append((row, own, self.nearest(row, subject, threshold)))
        return sorted(found, key=lambda misfit: misfit[1])

    def nearest(self, row: int, subject: int, threshold: float) -> int | None:
        others = [each for each in range(int(self.subjects.max()) + 1) if each != subject]
        best = max(others, key=lambda each: self.alike([row], self.of(each)))
        return best if self.alike([row], self.of(best)) >= threshold else None


def crowd(count: int, seed: int, spread: float = 0.6) -> tuple[Vectors, Ints]:
    """Samples of people with 1 to 6 each, of whom some are enrolled twice and some are mixed up."""
    random = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(count), random.integers(1, 7, count))
    people = random.integers(0, max(1, count - 3), count)[subjects]
    wrong = random.random(len(subjects)) < 0.1
    people[wrong] = random.integers(0, count, wrong.sum())
    centres = random.normal(size=(count, DIM))
    raw = centres[people] + spread * random.normal(size=(len(people), DIM))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return vectors, subjects


@pytest.fixture(params=[(1024, 4096), (7, 5), (3, 16)], ids=["large", "odd", "small"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that hold all, and such that cut subjects in two."""
    monkeypatch.setattr(duplicates, "ROWS", request.param[0])
    monkeypatch.setattr(duplicates, "COLUMNS", request.param[1])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.55, 0.8, -1.0])
@pytest.mark.parametrize("rule", RULES)
def test_finds_what_one_comparison_at_a_time_finds(rule: Rule, threshold: float, seed: int) -> None:
    vectors, subjects = crowd(15, seed)
    slow, found = Slow(vectors, subjects, rule), find(vectors, subjects, rule, threshold, most=999)
    pairs, misfits = slow.pairs(threshold), slow.misfits(threshold)
    assert [(each.a, each.b) for each in found.pairs] == [(each.a, each.b) for each in pairs]
    np.testing.assert_allclose(
        [each.similarity for each in found.pairs], [each.similarity for each in pairs], atol=1e-6
    )
    # Two samples may be each other's most similar one: then rounding decides which comes first.
    assert {each.sample: each.nearest for each in found.misfits} == {
        row: nearest for row, _, nearest in misfits
    }
    np.testing.assert_allclose(
        [each.similarity for each in found.misfits], [own for _, own, _ in misfits], atol=1e-6
    )
    assert not found.truncated


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("most", [1, 2, 5, 20])
@pytest.mark.parametrize("rule", RULES)
def test_of_more_than_are_wanted_the_first_are_told_and_that_there_are_more(
    rule: Rule, most: int
) -> None:
    vectors, subjects = crowd(15, 3)
    whole, part = (find(vectors, subjects, rule, 0.3, most=each) for each in (999, most))
    assert part.pairs == whole.pairs[:most]
    assert part.misfits == whole.misfits[:most]
    assert part.truncated == (len(whole.pairs) > most or len(whole.misfits) > most)
    assert len(whole.pairs) > 20


@pytest.mark.parametrize("rule", RULES)
def test_as_many_as_are_wanted_is_not_more(rule: Rule) -> None:
    vectors, subjects = crowd(15, 3)
    whole = find(vectors, subjects, rule, 0.3, most=999)
    most = max(len(whole.pairs), len(whole.misfits))
    assert find(vectors, subjects, rule, 0.3, most=most) == whole


def test_equally_alike_pairs_come_in_order_of_subject() -> None:
    vectors = np.tile(np.eye(1, DIM, dtype=np.float32), (6, 1))
    found = find(vectors, np.arange(6), "max", 0.5, most=4)
    assert [(each.a, each.b) for each in found.pairs] == [(0, 1), (0, 2), (0, 3), (0, 4)]
    assert found.truncated


def test_nobody_and_one_alone_are_neither_alike_nor_misfits() -> None:
    nobody, whose = np.empty((0, DIM), np.float32), np.empty(0, np.int64)
    one = crowd(1, 0)
    for vectors, subjects in ((nobody, whose), (one[0][:1], one[1][:1])):
        found = find(vectors, subjects, "max", 0.5, most=9)
        assert (found.pairs, found.misfits, found.truncated) == ([], [], False)


@pytest.mark.parametrize("threshold", [0.7, 0.3, 1 / 3, 0.1, -0.7, 0.5])
def test_a_similarity_reaches_the_rounded_threshold_if_it_reaches_the_threshold(
    threshold: float,
) -> None:
    near = np.float32(threshold)
    for similarity in (np.nextafter(near, np.float32(-2)), near, np.nextafter(near, np.float32(2))):
        assert (similarity >= at_least(threshold)) == (float(similarity) >= threshold)


def test_each_block_asks_whether_to_go_on() -> None:
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    vectors, subjects = crowd(5, 0)
    with pytest.raises(Enough):
        find(vectors, subjects, "max", 0.5, most=9, alive=stop)
