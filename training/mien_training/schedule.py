"""The learning rate over time, as a function of the step alone, so that it needs no state."""

import math

from mien_training.config.optimisation import Constant, Cosine, Schedule


def factor(recipe: Schedule, step: int, steps: int, steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by at `step` of `steps`, counted from 0.

    The warm-up rises to 1 in equal steps, the first already above 0.
    """
    warm_up = round(recipe.warm_up_epochs * steps_per_epoch)
    if step < warm_up:
        return (step + 1) / warm_up
    match recipe:
        case Constant():
            return 1.0
        case Cosine(final=final):
            progress = (step - warm_up) / max(steps - warm_up, 1)
            return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
