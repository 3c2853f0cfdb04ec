"""Error rates by what a picture is like: groups that are measured and not guessed.

Of each comparison the worse picture counts: the smaller face, the one turned further away. The
comparisons of one person are cut into thirds by it, and those of two people at the same places.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mien.evaluation.compared import ListedPairs
from mien.evaluation.contract import ends
from mien.matching.intervals import accuracies, interval

MEASURES = {
    "eye_distance_px": "smaller",
    "sharpness": "smaller",
    "brightness": "smaller",
    "yaw": "larger",
}
"""Of `mien.vision.quality`, and which end of it is worse."""
THIRDS = (1 / 3, 2 / 3)


def by_measure(
    compared: ListedPairs, values: npt.NDArray[np.float64], worse: str, threshold: float, seed: int
) -> list[dict[str, Any]]:
    """Rates of each third, the best pictures first; `values` [N] are of the samples."""
    trials, same = compared.trials, compared.pairs.same
    pick = np.minimum if worse == "smaller" else np.maximum
    worst = pick(values[trials.first], values[trials.second])
    edges = np.quantile(worst[same], THIRDS)
    third = np.searchsorted(edges, worst, side="right")
    matched = compared.similarities >= np.float32(threshold)
    return [
        {
            "from": float(worst[third == number].min()),
            "to": float(worst[third == number].max()),
            **_rate("fnmr", compared, same & (third == number), ~matched, seed),
            **_rate("fmr", compared, ~same & (third == number), matched, seed),
        }
        for number in ((2, 1, 0) if worse == "smaller" else (0, 1, 2))
    ]


def _rate(
    name: str,
    compared: ListedPairs,
    chosen: npt.NDArray[np.bool_],
    wrong: npt.NDArray[np.bool_],
    seed: int,
) -> dict[str, Any]:
    """Of chosen comparisons, of one person or of two each, which do not come together in them.

    People are drawn; the trials that count as independent are the people, or the pairs of people.
    """
    errors, pairs = wrong[chosen], compared.pairs.of(chosen)
    return {
        f"{name}_comparisons": len(errors),
        name: float(errors.mean()),
        f"{name}_interval95": ends(
            interval(accuracies([errors], pairs, seed)[0], pairs.distinct())
        ),
    }
