"""From intervals to a verdict."""

from collections.abc import Iterable

from mien_training.lab.record import Comparison, Verdict


def is_smaller(comparison: Comparison) -> Verdict:
    """Whether the second setting's figure is the smaller one: by the side of 0 of the interval."""
    if comparison.high < 0:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if comparison.low > 0 else Verdict.INCONCLUSIVE


def is_larger(comparison: Comparison) -> Verdict:
    """As `is_smaller`, the other way round."""
    if comparison.low > 0:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if comparison.high < 0 else Verdict.INCONCLUSIVE


def holds(claim: bool) -> Verdict:
    """Of what is counted, not drawn by chance."""
    return Verdict.REPRODUCED if claim else Verdict.NOT_REPRODUCED


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """Of a claim of several parts: as bad as the worst of them."""
    found = set(verdicts)
    worst = (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)
    return next((verdict for verdict in worst if verdict in found), Verdict.REPRODUCED)
