"""What the optimiser decays, and the moving average."""

from pathlib import Path

import pytest
import torch

from mien_training import networks, optimiser
from mien_training.average import MovingAverage
from mien_training.config.optimisation import AdamW, Optimiser, Sgd
from mien_training.losses import WeightedSum
from tests.training.recipes import small


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [(Sgd(kind="sgd"), torch.optim.SGD), (AdamW(kind="adamw"), torch.optim.AdamW)],
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
