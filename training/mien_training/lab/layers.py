"""How widely activations and gradients are spread in each layer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien_training.learner import Learner


@dataclass(frozen=True)
class LayerSpread:
    """Standard deviations over a batch, before the activation function of the layer."""

    layer: str
    """Its place, from 1, and its kind: "3 Conv2d"."""
    activation: float
    gradient: float
    """Of the loss by the layer's outputs."""
    weight_gradient: float
    """Of the loss by its weights."""


def spreads(learner: Learner, images: Tensor, labels: Tensor) -> list[LayerSpread]:
    """Of every convolution and linear layer of the network, in order; nothing is learned.

    Images uint8 [B, H, W, 3], labels int64 [B]. Gradients of the learner are gone afterwards, and
    running statistics of normalisation and centres have moved by one batch.
    """
    layers = [
        module for module in learner.network.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        output.retain_grad()
        outputs.append(output)
        return output.clone()  # an activation in place would overwrite what is kept

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        learner.optimiser.zero_grad()
        learner.losses(learner.network.features(images), labels).loss.backward()
    finally:
        for hook in hooks:
            hook.remove()
    found = [
        LayerSpread(
            layer=f"{number} {type(layer).__name__}",
            activation=_deviation(output),
            gradient=_deviation(output.grad),
            weight_gradient=_deviation(layer.weight.grad),
        )
        for number, (layer, output) in enumerate(zip(layers, outputs, strict=True), start=1)
    ]
    learner.optimiser.zero_grad()
    return found


@torch.no_grad()
def _deviation(values: Tensor | None) -> float:
    """0 where no gradient came."""
    return 0.0 if values is None else values.double().std(correction=0).item()
