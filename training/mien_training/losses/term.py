"""What a part of the loss gives back."""

from typing import NamedTuple

from torch import Tensor


class Term(NamedTuple):
    """A loss and what is worth a column in the log."""

    loss: Tensor
    """Scalar, with a gradient."""
    log: dict[str, float]
