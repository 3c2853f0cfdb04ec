"""Euclidean distances within a batch."""

from torch import Tensor

SMALLEST = 1e-12
"""Squares are lifted to this before a root, whose slope at 0 is infinite; the slope is 0 below."""


def distances(embeddings: Tensor, squared: bool) -> Tensor:
    """Distances [B, B] between the rows of [B, D], or their squares.

    Where two rows are the same the gradient is 0, of plain distances too.
    """
    squares_of_rows = embeddings.square().sum(dim=1)
    products = embeddings @ embeddings.T
    squares = squares_of_rows.unsqueeze(1) + squares_of_rows.unsqueeze(0) - 2 * products
    return squares.clamp(min=0) if squared else squares.clamp(min=SMALLEST).sqrt()
