"""The learning rate over time."""

import math
from collections.abc import Mapping

from mien_training.config.optimisation import Constant, Cosine, Plateau, Schedule, Step
from mien_training.patience import Patience


def factor(recipe: Schedule, step: int, steps: int, steps_per_epoch: int, falls: int = 0) -> float:
    """What the learning rate is multiplied by at `step` of `steps`, counted from 0.

    The warm-up rises to 1 in equal steps, the first already above 0. A function of the step alone,
    so that it needs no state; only a plateau has fallen so many times by itself.
    """
    warm_up = round(recipe.warm_up_epochs * steps_per_epoch)
    if step < warm_up:
        return (step + 1) / warm_up
    match recipe:
        case Constant():
            return 1.0
        case Step(every_epochs=every, factor=share):
            return float(share ** (step // (every * steps_per_epoch)))
        case Cosine(final=final):
            progress = (step - warm_up) / max(steps - warm_up, 1)
            return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
        case Plateau(factor=share):
            return float(share**falls)


class Falls:
    """How often the learning rate has fallen because validation stopped to improve.

    Never with another schedule than a plateau.
    """

    def __init__(self, recipe: Schedule) -> None:
        self._recipe = recipe
        self._patience = Patience(recipe.patience if isinstance(recipe, Plateau) else 1)
        self.count = 0

    def validated(self, metrics: Mapping[str, float]) -> None:
        """Look at one validation."""
        if not isinstance(self._recipe, Plateau):
            return
        self._patience.take(metrics[self._recipe.metric])
        if self._patience.is_over:
            self.count += 1
            self._patience.start_again()

    def state_dict(self) -> dict[str, float]:
        return {"count": self.count, **self._patience.state_dict()}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.count = int(state["count"])
        self._patience.load_state_dict(state)
