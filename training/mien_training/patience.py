"""How long validation may go without a new best."""

import math
from collections.abc import Mapping


class Patience:
    """Counts the validations in a row that brought no new best; lower is better."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._best = math.inf
        self._waited = 0

    @property
    def is_over(self) -> bool:
        return self._waited >= self._longest

    def take(self, value: float) -> bool:
        """Look at one validation; returns whether it is a new best."""
        is_best = value < self._best
        self._best = min(value, self._best)
        self._waited = 0 if is_best else self._waited + 1
        return is_best

    def start_again(self) -> None:
        """Forget the waiting, not the best."""
        self._waited = 0

    def state_dict(self) -> dict[str, float]:
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self._best, self._waited = state["best"], int(state["waited"])
