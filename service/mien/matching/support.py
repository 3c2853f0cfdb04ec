"""How small an error rate so many people can support.

The rule of three counts pairs of people as independent. That assumes that no few people cause the
false matches; where some do ("wolves", Doddington et al. 1998, "Sheep, goats, lambs and wolves"),
25 people hold none of a share of 5 % with a probability of 0.95^25 = 28 %. So the number to trust
is the upper end of a measured interval, not that a rate is supported.
"""

import math
from fractions import Fraction
from typing import Literal, TypeAlias

RULE_OF_THREE = 3.0
"""Without an error among n independent trials, the rate is below 3/n with 95 % confidence (ISO/IEC
19795-1:2021, the rule of 3)."""
SupportRule: TypeAlias = Literal["rule of three on pairs of people, 3 / (n (n - 1) / 2)"]
SUPPORT_RULE: SupportRule = "rule of three on pairs of people, 3 / (n (n - 1) / 2)"
"""An impostor comparison's independent unit is a pair of people, not a pair of pictures."""
FIRST_TARGETS = ((0.1, "1 in 10"), (0.01, "1 in 100"))
"""What those who have too few people to support anything are told of."""
ROUNDING = Fraction(1, 10**12)
"""By how much a rate may be off from the arithmetic of floats."""


def smallest_fmr(identities: int) -> float:
    """The smallest FMR that so many people support: 3 / C(identities, 2), at most 1.

    Comparisons of the same two people resemble each other: a double that is taken for somebody in
    one picture is in the next one too. So they count once, however many pictures there are.
    """
    return smallest_fmr_of(math.comb(identities, 2))


def smallest_fmr_of(people_pairs: int) -> float:
    """The same where only so many pairs of two people were compared: 3 / pairs, at most 1."""
    return min(1.0, RULE_OF_THREE / max(1, people_pairs))


def people_pairs_for(fmr: float) -> int:
    """The fewest pairs of people that support an FMR in (0, 1): 3 / FMR, rounded up."""
    return math.ceil(Fraction(RULE_OF_THREE) / Fraction(fmr) * (1 - ROUNDING))


def supported(identities: int) -> str:
    """The FMRs that so many people support, in words: the object of "they support"."""
    smallest = smallest_fmr(identities)
    if smallest < 1:
        return f"an FMR of {smallest:.2g} and above"
    needed = ", ".join(
        f"{identities_for(fmr) - identities} more for {name}" for fmr, name in FIRST_TARGETS
    )
    return f"no FMR below 1 (it takes {needed})"


def smallest_fnmr(identities: int) -> float:
    """The same for genuine comparisons, whose unit is a person: 3 / identities, at most 1."""
    return min(1.0, RULE_OF_THREE / max(1, identities))


def identities_for(fmr: float) -> int:
    """The fewest people n that support an FMR in (0, 1): n (n - 1) / 2 >= 3 / FMR."""
    pairs = people_pairs_for(fmr)
    n = (1 + math.isqrt(8 * pairs - 7)) // 2  # the largest n with no more than that many
    return n if math.comb(n, 2) >= pairs else n + 1
