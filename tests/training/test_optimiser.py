"""Each optimiser against its formula, what it decays, and the moving average."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from mien_training import networks, optimiser
from mien_training.average import MovingAverage
from mien_training.config.optimisation import Adam, AdamW, Optimiser, Rmsprop, Sgd
from mien_training.losses import WeightedSum
from tests.training.recipes import small


def slope(w: float) -> float:
    """Of E(w) = w⁴/4 - w, whose gradient changes along the way."""
    return w**3 - 1


def gradient_descent(w: float) -> Iterator[float]:
    while True:
        w -= 0.05 * slope(w)
        yield w


def momentum(w: float) -> Iterator[float]:
    """As the course has it: Δw(t) = η·∂E/∂w + γ·Δw(t-1)."""
    delta = 0.0
    while True:
        delta = 0.05 * slope(w) + 0.8 * delta
        w -= delta
        yield w


def nesterov(w: float) -> Iterator[float]:
    """Sutskever et al. 2013: the gradient is taken where momentum alone leads.

    torch keeps the point looked ahead to, so that is what is yielded.
    """
    delta = 0.0
    while True:
        ahead = w - 0.8 * delta
        delta = 0.8 * delta + 0.05 * slope(ahead)
        w -= delta
        yield w - 0.8 * delta


def rmsprop(w: float) -> Iterator[float]:
    """As the course has it: ν(t) = ρ·ν(t-1) + (1-ρ)·g², Δw = -η·g / √(ν + ε)."""
    nu = 0.0
    while True:
        g = slope(w)
        nu = 0.9 * nu + 0.1 * g**2
        w -= 0.05 * g / math.sqrt(nu + 1e-16)
        yield w


def adam(w: float) -> Iterator[float]:
    """The course's ν and s, with the corrections of Kingma and Ba 2015 that it leaves out."""
    nu = s = 0.0
    t = 0
    while True:
        t, g = t + 1, slope(w)
        nu = 0.9 * nu + 0.1 * g
        s = 0.99 * s + 0.01 * g**2
        w -= 0.05 * (nu / (1 - 0.9**t)) / math.sqrt(s / (1 - 0.99**t))
        yield w


def adam_w(w: float) -> Iterator[float]:
    """As Adam, and after the decay of the weight itself."""
    nu = s = 0.0
    t = 0
    while True:
        t, g = t + 1, slope(w)
        nu = 0.9 * nu + 0.1 * g
        s = 0.99 * s + 0.01 * g**2
        w -= 0.05 * 0.3 * w
        w -= 0.05 * (nu / (1 - 0.9**t)) / math.sqrt(s / (1 - 0.99**t))
        yield w


RATE, NONE = 0.05, 0.0
FORMULAS: dict[str, tuple[Optimiser, Callable[[float], Iterator[float]]]] = {
    "gradient descent": (
        Sgd(kind="sgd", learning_rate=RATE, momentum=0, nesterov=False, weight_decay=NONE),
        gradient_descent,
    ),
    "momentum": (
        Sgd(kind="sgd", learning_rate=RATE, momentum=0.8, nesterov=False, weight_decay=NONE),
        momentum,
    ),
    "Nesterov": (
        Sgd(kind="sgd", learning_rate=RATE, momentum=0.8, nesterov=True, weight_decay=NONE),
        nesterov,
    ),
    "RMSProp": (Rmsprop(kind="rmsprop", learning_rate=RATE), rmsprop),
    "Adam": (Adam(kind="adam", learning_rate=RATE, beta2=0.99), adam),
    "AdamW": (AdamW(kind="adamw", learning_rate=RATE, beta2=0.99, weight_decay=0.3), adam_w),
}


class Quartic(nn.Module):
    """The E of `slope`, of a weight that counts as a matrix."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[start]], dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        return (self.w**4 / 4 - self.w).sum()


@pytest.mark.parametrize(("recipe", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_an_optimiser_follows_its_formula(
    recipe: Optimiser, formula: Callable[[float], Iterator[float]]
) -> None:
    module = Quartic(2.0)
    built = optimiser.build(recipe, [module])
    expected = formula(2.0)
    for _ in range(20):
        built.zero_grad()
        module().backward()
        built.step()
        assert module.w.item() == pytest.approx(next(expected), rel=1e-6)


def test_l2_and_l1_pull_matrices_towards_zero_and_nothing_else() -> None:
    module = nn.Linear(1, 1).double()
    nn.init.constant_(module.weight, -2.0)
    nn.init.constant_(module.bias, 3.0)
    recipe = Sgd(
        kind="sgd", learning_rate=0.1, momentum=0, nesterov=False, weight_decay=0.5, l1=0.25
    )
    built = optimiser.build(recipe, [module])
    (0 * module(torch.zeros(1, 1, dtype=torch.float64))).sum().backward()
    optimiser.add_l1(built, recipe.l1)
    built.step()
    assert module.weight.item() == pytest.approx(-2 - 0.1 * (0.5 * -2 + 0.25 * -1))
    assert module.bias.item() == 3


def test_l1_leaves_a_weight_of_zero_and_one_without_a_gradient_alone() -> None:
    module, other = Quartic(0.0), Quartic(1.0)
    built = optimiser.build(Sgd(kind="sgd", l1=0.5), [module, other])
    module().backward()
    optimiser.add_l1(built, 0.5)
    assert module.w.grad is not None
    assert module.w.grad.item() == -1
    assert other.w.grad is None


@pytest.mark.parametrize(("longest", "left"), [(0.0, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_a_gradient_is_scaled_to_the_longest_and_its_length_before_told(
    longest: float, left: float
) -> None:
    modules = Quartic(0.0), Quartic(0.0)
    built = optimiser.build(Sgd(kind="sgd"), modules)
    for module, value in zip(modules, (3.0, -4.0), strict=True):
        module.w.grad = torch.tensor([[value]], dtype=torch.float64)
    assert optimiser.clip(built, longest) == pytest.approx(5)
    grads = [module.w.grad for module in modules]
    assert math.hypot(*(grad.item() for grad in grads if grad is not None)) == pytest.approx(
        left, rel=1e-5
    )


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (Sgd(kind="sgd"), torch.optim.SGD),
        (Rmsprop(kind="rmsprop", weight_decay=1e-4), torch.optim.RMSprop),
        (Adam(kind="adam", weight_decay=1e-4), torch.optim.Adam),
        (AdamW(kind="adamw"), torch.optim.AdamW),
    ],
)
def test_weight_decay_spares_biases_normalisation_and_slopes(
    recipe: Optimiser, kind: type, tmp_path: Path
) -> None:
    whole = small(tmp_path, "losses.softmax.head={kind='linear'}")
    modules = (networks.build(whole), WeightedSum(whole.losses, 3, whole.dimension))
    built = optimiser.build(recipe, modules)
    assert isinstance(built, kind)
    decayed, spared = built.param_groups
    assert decayed["weight_decay"] == recipe.weight_decay > 0
    assert spared["weight_decay"] == 0
    assert {weight.ndim for weight in decayed["params"]} == {2, 4}
    assert {weight.ndim for weight in spared["params"]} == {1}
    learning = [w for module in modules for w in module.parameters() if w.requires_grad]
    assert len(decayed["params"]) + len(spared["params"]) == len(learning)


def test_the_average_follows_the_weights_by_its_decay(tmp_path: Path) -> None:
    network = networks.build(small(tmp_path))
    average = MovingAverage(network, decay=0.3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for value in network.state_dict().values():
        value.add_(1)
    average.update(network, step=1000)
    for name, value in average.network.state_dict().items():
        moved = 0.7 if value.is_floating_point() else 1
        torch.testing.assert_close(value, before[name] + moved, check_dtype=False)


def test_without_a_decay_the_average_is_a_copy(tmp_path: Path) -> None:
    network = networks.build(small(tmp_path))
    average = MovingAverage(network, decay=0)
    for value in network.state_dict().values():
        value.add_(1)
    average.update(network, step=0)
    for name, value in average.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
