import numpy as np
import pytest

from mien.errors import DatasetInvalid, InvalidEmbedding
from mien.matching import identification
from mien.matching.enrolment import Enrolment, enrol_split
from mien.matching.fusion import RULES, Rule, fuse
from mien.matching.identification import (
    DRAWS,
    by_gallery_size,
    search,
)
from mien.matching.intervals import Interval
from mien.matching.metrics import People
from tests.matching.looks import looks, on_a_grid

THRESHOLDS = [-0.3, 0.2, 0.5, 0.8]


def enrolment(people: int = 12, shots: int = 5, seed: int = 0) -> Enrolment:
    vectors, owners = looks(people, shots, seed)
    return enrol_split(owners, 2, people * 2 // 3, seed).of(on_a_grid(vectors), owners)


def only(enrolled: Enrolment, people: People) -> Enrolment:
    """These people alone in the gallery; searches for others who were in it are left out."""
    kept = np.isin(enrolled.gallery_people, people)
    asked = ~enrolled.mated | np.isin(enrolled.probe_people, people)
    return Enrolment(
        enrolled.gallery[kept],
        enrolled.gallery_people[kept],
        enrolled.probes[asked],
        enrolled.probe_people[asked],
    )


def candidates(enrolled: Enrolment, row: int, rule: Rule) -> dict[int, float]:
    """Every subject's fused similarity to one probe."""
    found: dict[int, list[float]] = {}
    for sample, subject in zip(enrolled.gallery, enrolled.gallery_people.tolist(), strict=True):
        found.setdefault(subject, []).append(float(enrolled.probes[row] @ sample))
    return {s: max(v) if rule == "max" else sum(v) / len(v) for s, v in found.items()}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("block_values", [1, 70, 1 << 23])
def test_searching_equals_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch, rule: Rule, block_values: int
) -> None:
    monkeypatch.setattr(identification, "BLOCK_VALUES", block_values)
    enrolled = enrolment()
    found = search(enrolled, rule)
    own, ranks, best = [], [], []
    for row, person in enumerate(enrolled.probe_people.tolist()):
        mine = candidates(enrolled, row, rule)
        if person in mine:
            own.append(mine[person])
            ranks.append(sum(value >= mine[person] for value in mine.values()))
        else:
            best.append(max(mine.values()))
    assert found.mated_similarities.tolist() == own
    assert found.mated_ranks.tolist() == ranks
    assert found.nonmated_best.tolist() == best
    assert (found.subjects, found.samples) == (8, 16)
    for t in THRESHOLDS:
        assert found.fpir(t) == np.mean([value >= t for value in best])
        for rank in (1, 3):
            missed = [s < t or r > rank for s, r in zip(own, ranks, strict=True)]
            assert found.fnir(t, rank) == np.mean(missed)
    assert found.cmc(8) == [np.mean([r <= rank for r in ranks]) for rank in range(1, 9)]


def test_the_cumulative_match_characteristic_rises_to_one() -> None:
    shares = search(enrolment(), "max").cmc(20)
    assert len(shares) == 20
    assert shares == sorted(shares)
    assert shares[7] == shares[-1] == 1  # eight subjects


def test_a_tie_is_not_counted_as_found() -> None:
    one = np.array([[1, 0], [1, 0]], np.float32)
    found = search(Enrolment(one, np.array([1, 2]), one[:1], np.array([1])), "max")
    assert found.mated_ranks.tolist() == [2]
    assert found.fnir(0.5) == 1
    assert found.fnir(0.5, rank=2) == 0


def test_intervals_resample_the_people_who_are_searched_for() -> None:
    found = search(enrolment(30, 6), "max")
    for t in THRESHOLDS:
        for rate, ends in (
            (found.fpir(t), found.fpir_intervals([t])[0]),
            (found.fnir(t), found.fnir_intervals([t])[0]),
        ):
            assert ends.low <= rate <= ends.high
    assert found.fpir_intervals([1.1]) == [Interval(0, 3 / 10)]
    assert found.cmc_intervals(20)[-1] == Interval(1 - 3 / 20, 1)


def test_an_interval_equals_a_slow_loop() -> None:
    found = search(enrolment(30, 6), "max")
    people = sorted({*found.mated_people.tolist()})
    rates = []
    for drawn in np.random.default_rng(3).integers(len(people), size=(1000, len(people))):
        failed = [
            found.mated_similarities[k] < 0.7 or found.mated_ranks[k] > 1
            for who in drawn
            for k in np.flatnonzero(found.mated_people == people[who])
        ]
        rates.append(np.mean(failed))
    low, high = np.quantile(rates, [0.025, 0.975])
    (ends,) = found.fnir_intervals([0.7], seed=3)
    assert (ends.low, ends.high) == pytest.approx((min(low, 1 - 3 / 20), high))


@pytest.mark.parametrize("rule", RULES)
def test_rates_grow_with_the_gallery(rule: Rule) -> None:
    enrolled, sizes = enrolment(60, 5), [1, 4, 12, 40]
    points = by_gallery_size(enrolled, rule, 0.75, sizes)
    assert [point.searches.subjects for point in points] == sizes
    assert [point.searches.samples for point in points] == [2 * size for size in sizes]
    for rates in (
        [point.searches.fpir(0.75) for point in points],
        [point.predicted_fpir for point in points],
    ):
        assert rates == sorted(rates)
        assert rates[-1] > rates[0]
    everybody = search(enrolled, rule)
    assert points[-1].searches.fpir(0.75) == everybody.fpir(0.75)
    assert points[-1].searches.fnir(0.75) == everybody.fnir(0.75)


def test_searches_of_several_galleries_are_taken_together() -> None:
    enrolled = enrolment(60, 5)
    (point,) = by_gallery_size(enrolled, "max", 0.75, [7], seed=4)
    random, people = np.random.default_rng(4), np.unique(enrolled.gallery_people)
    drawn = [
        search(only(enrolled, random.choice(people, 7, replace=False)), "max") for _ in range(DRAWS)
    ]
    assert point.searches.fpir(0.75) == pytest.approx(np.mean([one.fpir(0.75) for one in drawn]))
    assert point.searches.fnir(0.75) == pytest.approx(np.mean([one.fnir(0.75) for one in drawn]))
    assert len(point.searches.mated_ranks) == DRAWS * 7 * 3
    strangers = len(np.unique(point.searches.nonmated_people))
    assert strangers == 20
    assert point.searches.fpir_intervals([1.1]) == [
        Interval(0, 3 / strangers)
    ]  # people, not searches


@pytest.mark.parametrize("rule", RULES)
def test_the_prediction_is_of_as_many_comparisons_as_a_search_decides(rule: Rule) -> None:
    enrolled = enrolment(60, 5)
    (point,) = by_gallery_size(enrolled, rule, 0.75, [10])
    strangers = enrolled.probes[~enrolled.mated]
    similarities = strangers @ enrolled.gallery.T
    if rule == "mean":
        similarities = fuse(similarities, enrolled.gallery_people, rule)
    fmr = (similarities >= 0.75).mean()
    number = 20 if rule == "max" else 10
    assert point.predicted_fpir == pytest.approx(1 - (1 - fmr) ** number)


def test_the_formula_holds_for_people_who_are_alike_by_chance_alone() -> None:
    random = np.random.default_rng(0)
    raw = random.normal(size=(900, 64))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    owners = np.arange(900)
    enrolled = Enrolment(vectors[:300], owners[:300], vectors[300:], owners[300:])
    for point in by_gallery_size(enrolled, "max", 0.35, [1, 10, 100, 300], seed=1):
        assert point.searches.fpir(0.35) == pytest.approx(point.predicted_fpir, abs=0.04)
    assert point.predicted_fpir > 0.4


def test_galleries_are_drawn_by_the_seed() -> None:
    enrolled = enrolment(20, 4)
    drawn = [
        by_gallery_size(enrolled, "max", 0.5, [3], seed)[0].searches.mated_people.tolist()
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("size", [0, 9])
def test_a_gallery_of_more_people_than_there_are_is_refused(size: int) -> None:
    with pytest.raises(
        DatasetInvalid, match=f"gallery of {size} people cannot be drawn from the 8"
    ):
        by_gallery_size(enrolment(), "max", 0.5, [size])


def test_rates_of_searches_that_nobody_made_are_refused() -> None:
    vectors, people = looks(4, 2)
    strangers = search(Enrolment(vectors[:1], people[:1] * 0, vectors, people), "max")
    with pytest.raises(DatasetInvalid, match="FNIR needs searches for people who are enrolled"):
        strangers.fnir(0.5)
    with pytest.raises(DatasetInvalid, match="FNIR needs"):
        strangers.cmc()
    friends = search(Enrolment(vectors, people, vectors, people), "max")
    with pytest.raises(DatasetInvalid, match="FPIR needs searches for people who are not"):
        friends.fpir(0.5)
    with pytest.raises(DatasetInvalid, match="FPIR needs"):
        by_gallery_size(Enrolment(vectors, people, vectors, people), "max", 0.5, [1])


def test_a_probe_that_is_not_finite_is_refused() -> None:
    vectors, people = looks(4, 2)
    broken = vectors.copy()
    broken[3] = np.nan
    with pytest.raises(InvalidEmbedding, match="are not numbers"):
        search(Enrolment(vectors, people, broken, people), "max")
