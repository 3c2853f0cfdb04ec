import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.matching.support import (
    identities_for,
    people_pairs_for,
    smallest_fmr,
    smallest_fmr_of,
    smallest_fnmr,
    supported,
)


@pytest.mark.parametrize(
    ("identities", "fmr"), [(2, 1), (3, 1), (4, 0.5), (10, 3 / 45), (100, 3 / 4950)]
)
def test_the_smallest_fmr_is_three_over_the_pairs_of_people(identities: int, fmr: float) -> None:
    assert smallest_fmr(identities) == fmr


def test_the_smallest_fnmr_is_three_over_the_people() -> None:
    assert [smallest_fnmr(n) for n in (0, 2, 30)] == [1, 1, 0.1]


@given(st.floats(1e-12, 0.999))
def test_so_many_people_support_a_rate_and_one_fewer_do_not(fmr: float) -> None:
    people = identities_for(fmr)
    assert 3 / math.comb(people, 2) <= fmr * (1 + 1e-9)
    assert people == 3 or 3 / math.comb(people - 1, 2) > fmr * (1 - 1e-9)


@pytest.mark.parametrize("people", [4, 23, 1000, 123_456])
def test_the_people_that_a_rate_needs_are_those_that_support_it(people: int) -> None:
    assert identities_for(smallest_fmr(people)) == people


def test_a_rate_near_zero_needs_a_great_many() -> None:
    assert identities_for(5e-324) > 10**161


def test_pairs_of_people_that_were_compared_support_a_rate_as_people_do() -> None:
    assert [smallest_fmr_of(pairs) for pairs in (0, 1, 3, 30)] == [1, 1, 1, 0.1]
    targets = (0.1, 0.01, 1e-3, 1e-6)
    assert [people_pairs_for(fmr) for fmr in targets] == [30, 300, 3000, 3_000_000]
    for fmr in targets:
        pairs = people_pairs_for(fmr)
        assert smallest_fmr_of(pairs) <= fmr * (1 + 1e-9) < smallest_fmr_of(pairs - 1)


@pytest.mark.parametrize(
    ("people", "words"),
    [
        (2, "no FMR below 1 (it takes 7 more for 1 in 10, 23 more for 1 in 100)"),
        (3, "no FMR below 1 (it takes 6 more for 1 in 10, 22 more for 1 in 100)"),
        (4, "an FMR of 0.5 and above"),
        (10, "an FMR of 0.067 and above"),
    ],
)
def test_what_people_support_is_said_in_words(people: int, words: str) -> None:
    assert supported(people) == words
    if smallest_fmr(people) == 1:
        assert smallest_fmr(people + identities_for(0.1) - people) <= 0.1
