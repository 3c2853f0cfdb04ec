import numpy as np
import numpy.typing as npt
import pytest

from mien.errors import DatasetInvalid, InvalidEmbedding
from mien.matching import paired
from mien.matching.folds import cross_validate
from mien.matching.metrics import Comparisons, Rates, Similarities, eers
from mien.matching.paired import (
    Statistic,
    compare_accuracy,
    compare_rates,
    fnmr_at,
)
from mien.matching.resampling import Draws, Pairs, draw

COUNT = 600


def listed(seed: int = 0) -> Pairs:
    random = np.random.default_rng(seed)
    first = random.integers(60, size=COUNT)
    second = np.where(np.arange(COUNT) % 2 == 0, first, random.integers(60, size=COUNT))
    return Pairs(first + 4, second + 4)


def model(pairs: Pairs, noise: float, seed: int = 0) -> Similarities:
    """Similarities in hundredths, so that some are equal."""
    random = np.random.default_rng(seed)
    values = np.where(pairs.same, 0.6, 0.1) + random.normal(0, noise, COUNT)
    return values.clip(-1, 1).round(2).astype(np.float32)


def repeated(
    similarities: Similarities, pairs: Pairs, draws: npt.NDArray[np.float32]
) -> Comparisons:
    """Every pair as often as a resample draws it."""
    people = sorted({*pairs.first.tolist(), *pairs.second.tolist()})
    times = dict(zip(people, draws.astype(int).tolist(), strict=True))
    values: dict[bool, list[float]] = {True: [], False: []}
    for value, a, b in zip(similarities.tolist(), pairs.first, pairs.second, strict=True):
        values[a == b] += [value] * (times[a] if a == b else times[a] * times[b])
    return Comparisons(np.array(values[True], np.float32), np.array(values[False], np.float32))


@pytest.mark.parametrize("chunk", [COUNT * 40, 1 << 21])
@pytest.mark.parametrize(("statistic", "name"), [(eers, "eer"), (fnmr_at(0.05), "fnmr")])
def test_rates_of_resamples_equal_those_of_pairs_repeated_as_drawn(
    monkeypatch: pytest.MonkeyPatch, chunk: int, statistic: Statistic, name: str
) -> None:
    monkeypatch.setattr(paired, "CHUNK_VALUES", chunk)
    pairs = listed()
    one, other = model(pairs, 0.2), model(pairs, 0.25, seed=1)
    (found,) = compare_rates(one, other, pairs, [statistic], seed=2)

    def measured(comparisons: Comparisons) -> float:
        return comparisons.eer() if name == "eer" else comparisons.fnmr_at_fmr(0.05)

    same = pairs.same
    assert found.first == pytest.approx(measured(Comparisons(one[same], one[~same])))
    assert found.second == pytest.approx(measured(Comparisons(other[same], other[~same])))
    count = len({*pairs.first.tolist(), *pairs.second.tolist()})
    changes = np.array(
        [
            measured(repeated(other, pairs, drawn)) - measured(repeated(one, pairs, drawn))
            for drawn in draw(count, 2).T
        ]
    )
    low, high = np.quantile(changes, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-6)
    sides = min((changes <= 1e-12).sum(), (changes >= -1e-12).sum())
    assert found.p_value == pytest.approx(min(1, 2 * (1 + sides) / 1001), abs=0.004)


def test_several_statistics_share_the_curves_and_are_each_as_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = listed()
    one, other = model(pairs, 0.2), model(pairs, 0.25, seed=1)
    statistics = [eers, fnmr_at(0.1), fnmr_at(0.01)]
    alone = [compare_rates(one, other, pairs, [each])[0] for each in statistics]
    built: list[Similarities] = []
    build = paired._curves

    def counted(similarities: Similarities, pairs: Pairs, draws: Draws) -> tuple[Rates, Rates]:
        built.append(similarities)
        return build(similarities, pairs, draws)

    monkeypatch.setattr(paired, "CHUNK_VALUES", 1 << 30)
    monkeypatch.setattr(paired, "_curves", counted)
    assert compare_rates(one, other, pairs, statistics) == alone
    assert len(built) == 2


def test_a_model_does_not_differ_from_itself() -> None:
    pairs = listed()
    (found,) = compare_rates(model(pairs, 0.2), model(pairs, 0.2), pairs)
    assert found.value == found.interval.low == found.interval.high == 0
    assert found.p_value == 1


@pytest.mark.parametrize("statistic", [eers, fnmr_at(0.1)])
def test_a_much_better_model_is_told_from_a_worse_one(statistic: Statistic) -> None:
    pairs = listed()
    (found,) = compare_rates(model(pairs, 0.5), model(pairs, 0.15), pairs, [statistic])
    assert found.value < 0
    assert found.interval.high < 0
    assert found.p_value == pytest.approx(2 / 1001)


def test_equal_models_are_seldom_told_apart() -> None:
    """A test at 5 % says so about once in twenty tries; five times would be a chance of 0.3 %."""
    told = 0
    for seed in range(20):
        pairs = listed(seed)
        one, other = model(pairs, 0.3, 2 * seed), model(pairs, 0.3, 2 * seed + 1)
        told += compare_rates(one, other, pairs, seed=seed)[0].p_value < 0.05
    assert told < 5


def test_pairing_is_sharper_than_two_intervals() -> None:
    pairs = listed()
    one = model(pairs, 0.3)
    other = np.where(np.arange(COUNT) % 9 == 0, -one, one)  # the same, but for some
    correct, wrong = (one >= 0.35) == pairs.same, (other >= 0.35) == pairs.same
    found = compare_accuracy(correct, wrong, pairs)
    assert found.first == correct.mean()
    assert found.second == wrong.mean()
    assert found.value == pytest.approx(found.second - found.first)
    assert found.interval.high < 0
    assert found.interval.high - found.interval.low < 0.05


def test_accuracies_over_folds_can_be_compared() -> None:
    pairs, folds = listed(), np.arange(COUNT) // 60
    one = cross_validate(model(pairs, 0.2), pairs.same, folds)
    other = cross_validate(model(pairs, 0.6), pairs.same, folds)
    found = compare_accuracy(one.correct, other.correct, pairs)
    assert found.first == pytest.approx(one.accuracy)
    assert found.interval.low <= found.value <= found.interval.high < 0


@pytest.mark.parametrize("kind", [True, False])
def test_pairs_of_one_kind_alone_are_refused(kind: bool) -> None:
    pairs = listed()
    some = pairs.of(pairs.same == kind)
    values = model(pairs, 0.2)[pairs.same == kind]
    with pytest.raises(DatasetInvalid, match="genuine and impostor pairs"):
        compare_rates(values, values, some)


def test_a_similarity_that_is_not_a_number_is_refused() -> None:
    pairs = listed()
    broken = model(pairs, 0.2)
    broken[7] = np.nan
    with pytest.raises(InvalidEmbedding, match="1 of 1200 similarities are not numbers"):
        compare_rates(model(pairs, 0.2), broken, pairs)
