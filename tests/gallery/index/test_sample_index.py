"""The index in memory against the slow, obvious scan."""

from collections.abc import Iterator

import numpy as np
import pytest

from mien.gallery.index import sample_index
from mien.gallery.index.nearest import Ints
from mien.gallery.index.sample_index import Hits, SampleIndex
from mien.matching.fusion import RULES, Rule
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, looks
from tests.gallery.people import index_of, near, people

COUNT = 1500
SUBJECTS, VECTORS = people(COUNT)
KEYS = np.arange(1, COUNT + 1)
PROBES = near(VECTORS[::50], seed=5)


@pytest.fixture
def small_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inverted files from 1,000 samples on."""
    monkeypatch.setattr(sample_index, "INVERTED_FROM", 1000)


@pytest.fixture
def inverted(small_file: None) -> SampleIndex:
    index = index_of(SUBJECTS, VECTORS)
    assert index.tend()
    return index


def slow(
    keys: Ints, subjects: Ints, vectors: Vectors, probes: Vectors, fusion: Rule
) -> list[tuple[int, int, float]]:
    """(subject, key of the most similar sample, similarity), best first."""
    products = vectors.astype(np.float64) @ probes.astype(np.float64).T
    each = products.max(axis=1) if fusion == "max" else products.mean(axis=1)
    found = []
    for subject in sorted(set(subjects.tolist())):
        rows = np.flatnonzero(subjects == subject)
        fused = each[rows].max() if fusion == "max" else each[rows].mean()
        found.append((subject, int(keys[rows[each[rows].argmax()]]), float(fused)))
    return sorted(found, key=lambda item: -item[2])


def assert_hits(hits: Hits, expected: list[tuple[int, int, float]], limit: int) -> None:
    assert hits.keys.tolist() == [key for _, key, _ in expected[:limit]]
    np.testing.assert_allclose(hits.similarities, [s for *_, s in expected[:limit]], atol=1e-6)


@pytest.mark.parametrize("fusion", RULES)
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_an_exact_search_equals_a_scan(fusion: Rule, limit: int) -> None:
    index = index_of(SUBJECTS, VECTORS)
    for probes in (PROBES[:1], PROBES[3:6]):
        hits = index.search(probes, limit, fusion)
        assert_hits(hits, slow(KEYS, SUBJECTS, VECTORS, probes, fusion), limit)
        assert (hits.subjects, hits.samples, hits.revision) == (COUNT // 5, COUNT, 1)


@pytest.mark.parametrize("fusion", RULES)
@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_search_for_many_people_finds_what_searches_for_each_find(
    fusion: Rule, count: int, limit: int
) -> None:
    index = index_of(SUBJECTS, VECTORS)
    searches = index.search_each(PROBES[:count], limit, fusion)
    assert len(searches) == count
    for probe, hits in zip(PROBES, searches, strict=False):
        assert_hits(hits, slow(KEYS, SUBJECTS, VECTORS, probe[None], fusion), limit)
        alone = index.search(probe[None], limit, fusion)
        told = (hits.subjects, hits.samples, hits.samples_per_subject, hits.revision)
        assert told == (alone.subjects, alone.samples, alone.samples_per_subject, alone.revision)


def test_a_search_for_many_beside_an_inverted_file_finds_what_searches_for_each_find(
    inverted: SampleIndex,
) -> None:
    for probe, hits in zip(PROBES, inverted.search_each(PROBES, 5), strict=True):
        assert hits.keys.tolist() == inverted.search(probe[None], 5).keys.tolist()


def test_in_a_search_for_many_a_subject_may_fill_what_is_fetched() -> None:
    """A hundred samples of one person are nearer than anybody else's."""
    crowd = near(np.repeat(VECTORS[:1], 100, axis=0), seed=7)
    vectors = np.concatenate([VECTORS, crowd])
    subjects = np.concatenate([SUBJECTS, np.repeat(SUBJECTS[:1], 100)])
    index, keys = index_of(subjects, vectors), np.arange(1, len(vectors) + 1)
    probes = np.concatenate([VECTORS[:1], PROBES])
    for probe, hits in zip(probes, index.search_each(probes, 5), strict=True):
        assert_hits(hits, slow(keys, subjects, vectors, probe[None], "max"), 5)


@pytest.mark.parametrize("fusion", RULES)
def test_in_an_empty_gallery_each_of_many_finds_nobody(fusion: Rule) -> None:
    searches = SampleIndex(DIM, 3).search_each(PROBES[:4], 5, fusion)
    assert [len(hits.keys) for hits in searches] == [0] * 4
    assert {hits.revision for hits in searches} == {3}


@pytest.mark.parametrize("fusion", RULES)
@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 1])
def test_a_search_among_some_samples_equals_a_scan_of_them(
    inverted: SampleIndex, fusion: Rule, share: float
) -> None:
    dice = np.random.default_rng(1)
    rows = np.sort(dice.permutation(COUNT)[: max(1, int(share * COUNT))])
    for probes in (PROBES[:1], PROBES[3:6]):
        hits = inverted.search(probes, 7, fusion, among=dice.permutation(KEYS[rows]))
        expected = slow(KEYS[rows], SUBJECTS[rows], VECTORS[rows], probes, fusion)
        assert_hits(hits, expected, 7)
        assert (hits.subjects, hits.samples) == (len(expected), len(rows))


@pytest.mark.parametrize("among", [[], [COUNT + 9]])
def test_a_search_among_nobody_finds_nobody(inverted: SampleIndex, among: list[int]) -> None:
    hits = inverted.search(PROBES[:1], 5, among=np.array(among, np.int64))
    assert (len(hits.keys), hits.subjects, hits.samples, hits.samples_per_subject) == (0, 0, 0, 1)


def test_a_search_among_some_counts_their_samples_a_subject(inverted: SampleIndex) -> None:
    among = KEYS[:7]  # five of the first person, two of the second
    assert inverted.search(PROBES[:1], 5, "max", among=among).samples_per_subject == 4
    assert inverted.search(PROBES[:1], 5, "mean", among=among).samples_per_subject == 2


def test_an_inverted_file_finds_nearly_always_what_a_scan_finds(inverted: SampleIndex) -> None:
    probes = near(VECTORS[::3], seed=6)
    firsts = [
        (
            inverted.search(probe[None], 1).keys[0],
            inverted.search(probe[None], 1, exact=True).keys[0],
        )
        for probe in probes
    ]
    assert np.mean([mine == truth for mine, truth in firsts]) >= 0.99


def test_candidates_are_compared_by_their_vectors(inverted: SampleIndex) -> None:
    for probe in PROBES:
        hits = inverted.search(probe[None], 5)
        np.testing.assert_allclose(hits.similarities, VECTORS[hits.keys - 1] @ probe, atol=1e-6)
        assert (np.diff(hits.similarities) <= 0).all()


@pytest.mark.parametrize("fusion", RULES)
def test_an_exact_search_beside_an_inverted_file_equals_a_scan(
    inverted: SampleIndex, fusion: Rule
) -> None:
    hits = inverted.search(PROBES[:2], 9, fusion, exact=True)
    assert_hits(hits, slow(KEYS, SUBJECTS, VECTORS, PROBES[:2], fusion), 9)


def test_an_inverted_file_yields_as_many_subjects_as_are_asked_for(inverted: SampleIndex) -> None:
    for limit in (1, 40, COUNT // 5, COUNT):
        hits = inverted.search(PROBES[:1], limit)
        assert len(set(SUBJECTS[hits.keys - 1].tolist())) == min(limit, COUNT // 5)


def test_one_person_with_very_many_samples_hides_nobody(small_file: None) -> None:
    subjects = np.where(SUBJECTS > 10, 7777, SUBJECTS)
    index = index_of(subjects, VECTORS)
    assert index.tend()
    hits = index.search(VECTORS[-1:], 11)
    assert len(hits.keys) == 11
    assert subjects[hits.keys[0] - 1] == 7777


@pytest.mark.parametrize("with_file", [False, True])
def test_any_order_of_changes_answers_as_a_new_index_does(
    small_file: None, with_file: bool
) -> None:
    dice = np.random.default_rng(4)
    index = index_of(SUBJECTS[:1200], VECTORS[:1200])
    assert not with_file or index.tend()
    living = set(range(1200))
    for turn in range(12):
        if turn % 3 == 2:
            new = 1200 + 75 * (turn // 3) + np.arange(75)
            index.add(KEYS[new], SUBJECTS[new], VECTORS[new], turn)
            living |= set(new.tolist())
        else:
            gone = dice.permutation(sorted(living))[: dice.integers(1, 90)]
            index.remove(KEYS[gone], turn)
            living -= set(gone.tolist())
    rows = np.array(sorted(living))
    for fusion in RULES:
        hits = index.search(PROBES[:1], 20, fusion, exact=True)
        assert_hits(hits, slow(KEYS[rows], SUBJECTS[rows], VECTORS[rows], PROBES[:1], fusion), 20)
        assert hits.subjects == len(set(SUBJECTS[rows].tolist()))
    assert (index.stats().samples, index.revision) == (len(rows), 11)
    found = [index.search(VECTORS[row][None], 1).keys[0] == KEYS[row] for row in rows[::7]]
    assert np.mean(found) > 0.99
    gone = np.setdiff1d(KEYS[:1200], KEYS[rows])
    for row in gone[:50] - 1:
        assert index.search(VECTORS[row][None], 1).keys[0] not in gone


def test_samples_that_change_hands_count_for_their_new_subject(inverted: SampleIndex) -> None:
    inverted.move(KEYS[5:10], 1, revision=2)
    moved = SUBJECTS.copy()
    moved[5:10] = 1
    for fusion in RULES:
        hits = inverted.search(VECTORS[6:7], 5, fusion, exact=True)
        assert_hits(hits, slow(KEYS, moved, VECTORS, VECTORS[6:7], fusion), 5)
        assert (hits.subjects, hits.revision) == (COUNT // 5 - 1, 2)


@pytest.mark.parametrize("seed", range(5))
def test_subjects_are_counted_as_a_set_does_whatever_the_order_of_their_keys(seed: int) -> None:
    """Keys that come, go and come again, below and above all others, several samples at once."""
    dice = np.random.default_rng(seed)
    index, held, newest = SampleIndex(DIM, 0), dict[int, int](), 0
    for step in range(60):
        if held and dice.random() < 0.4:
            gone = dice.choice(list(held), min(4, len(held)), replace=False)
            index.remove(np.array(gone, np.int64), step)
            held = {key: subject for key, subject in held.items() if key not in gone}
        else:
            keys = np.arange(newest + 1, newest + 1 + dice.integers(1, 6))
            subjects = dice.integers(1, 9, len(keys))
            index.add(keys, subjects, VECTORS[: len(keys)], step)
            held |= dict(zip(keys.tolist(), subjects.tolist(), strict=True))
            newest = int(keys[-1])
        stats = index.stats()
        assert (stats.samples, stats.subjects) == (len(held), len(set(held.values())))


def test_the_newest_key_is_remembered_when_its_sample_goes() -> None:
    index = index_of(SUBJECTS[:9], VECTORS[:9])
    index.remove(KEYS[8:9], 2)
    assert index.newest == 9


def test_a_change_elsewhere_is_noted() -> None:
    index = index_of(SUBJECTS[:9], VECTORS[:9])
    index.note(7)
    assert index.search(PROBES[:1], 1).revision == index.revision == 7


def sizes_with_files(index: SampleIndex, sizes: list[int]) -> Iterator[tuple[int, bool]]:
    """Grow or shrink to each of these; which of them led to a new inverted file."""
    for size in sizes:
        have = len(index.rows)
        if size > have:
            new = slice(have, size)
            index.add(KEYS[new], SUBJECTS[new], VECTORS[new], 1)
        else:
            index.remove(KEYS[size:have], 1)
        yield size, index.tend()


def test_an_inverted_file_is_built_at_a_size_and_anew_at_its_double(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample_index, "INVERTED_FROM", 600)
    index = SampleIndex(DIM, 0)
    built = dict(sizes_with_files(index, [0, 300, 599, 600, 601, 1199, 1200, 1300]))
    assert [size for size, new in built.items() if new] == [600, 1200]
    assert index.stats().kind == "inverted file"


def test_an_inverted_file_is_dropped_at_half_the_size(small_file: None) -> None:
    index = index_of(SUBJECTS, VECTORS)
    index.tend()
    steps = dict(sizes_with_files(index, [600, 499]))
    assert (steps, index.stats().kind) == ({600: False, 499: False}, "exact")
    hits = index.search(PROBES[:1], 3)
    assert_hits(hits, slow(KEYS[:499], SUBJECTS[:499], VECTORS[:499], PROBES[:1], "max"), 3)


def test_what_no_file_finds_well_stays_exact(small_file: None) -> None:
    vectors = looks(1200, dim=37)
    index = index_of(np.arange(1200), vectors)
    assert not index.tend()
    assert index.stats().kind == "exact"
    assert index.search(vectors[5:6], 1).keys[0] == 6


def test_stats_say_how_a_gallery_is_searched(inverted: SampleIndex) -> None:
    stats = inverted.stats()
    assert (stats.kind, stats.samples, stats.subjects) == ("inverted file", COUNT, COUNT // 5)
    assert 1 <= stats.probes < stats.lists
    assert 0.992 <= stats.recall <= 1
    exact = index_of(SUBJECTS[:9], VECTORS[:9]).stats()
    assert (exact.kind, exact.lists, exact.probes, exact.recall) == ("exact", 0, 0, 1.0)
