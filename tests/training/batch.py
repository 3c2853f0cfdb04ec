"""A small batch, and the comparison of a loss with a slow or a foreign one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

PEOPLE, DIMENSION = 4, 5
LABELS = torch.tensor([0, 1, 1, 3, 0, 3, 1, 3])  # nobody is 2
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)

DEGENERATE = {
    "nobody": torch.zeros(0, dtype=torch.int64),
    "one picture": torch.zeros(1, dtype=torch.int64),
    "one person": torch.zeros(6, dtype=torch.int64),
    "everybody once": torch.arange(4),
}


def embeddings(dtype: torch.dtype, count: int = len(LABELS)) -> Tensor:
    """Raw, [count, D]; always the same, with a gradient."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(count, DIMENSION, generator=generator, dtype=torch.float64)
    return drawn.to(dtype).requires_grad_()


def assert_same(
    loss: nn.Module, other: Callable[[Tensor], Tensor], dtype: torch.dtype, labels: Tensor = LABELS
) -> None:
    """Value and gradient of a loss agree with those of another, a function of raw embeddings."""
    raw, again = embeddings(dtype, len(labels)), embeddings(dtype, len(labels))
    value, expected = loss(raw, labels).loss, other(again)
    value.backward()
    expected.backward()
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(raw.grad, again.grad, rtol=tolerance, atol=tolerance)


def assert_slopes(loss: nn.Module, labels: Tensor = LABELS) -> None:
    """The gradient agrees with finite differences, in float64."""
    module = loss.double()
    raw = embeddings(torch.float64, len(labels))
    assert torch.autograd.gradcheck(lambda raw: module(raw, labels).loss, raw)


def assert_zero_with_gradient(loss: nn.Module, raw: Tensor, labels: Tensor) -> None:
    value = loss(raw, labels).loss
    value.backward()
    assert value.item() == 0
    assert raw.grad is not None
    assert torch.count_nonzero(raw.grad) == 0


def assert_finite(loss: nn.Module, raw: Tensor, labels: Tensor) -> None:
    """Neither value nor gradient is NaN or infinite, for embeddings and weights."""
    value = loss(raw, labels).loss
    value.backward()
    assert torch.isfinite(value)
    for tensor in (raw, *loss.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
