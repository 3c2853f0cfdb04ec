"""The optimiser that a recipe names, over every weight that learns."""

from collections.abc import Iterable

import torch
from torch import nn, optim

from mien_training.config.optimisation import Adam, AdamW, Optimiser, Rmsprop, Sgd


def build(recipe: Optimiser, modules: Iterable[nn.Module]) -> optim.Optimizer:
    """Weight decay is for matrices and kernels, not for biases, normalisation and slopes.

    He et al. 2018 ("Bag of Tricks", section 3.1) decay only the former, to avoid overfitting, and
    leave the others as they are.
    """
    weights = [w for module in modules for w in module.parameters() if w.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = recipe.learning_rate
    match recipe:
        case Sgd(momentum=momentum, nesterov=nesterov):
            return optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov)
        case Rmsprop(rho=rho, epsilon=epsilon):
            return optim.RMSprop(groups, lr=rate, alpha=rho, eps=epsilon)
        case Adam(beta1=beta1, beta2=beta2, epsilon=epsilon):
            return optim.Adam(groups, lr=rate, betas=(beta1, beta2), eps=epsilon)
        case AdamW(beta1=beta1, beta2=beta2, epsilon=epsilon):
            return optim.AdamW(groups, lr=rate, betas=(beta1, beta2), eps=epsilon)


@torch.no_grad()
def add_l1(optimiser: optim.Optimizer, strength: float) -> None:
    """Add the gradient of strength·Σ|w| over matrices and kernels; at w = 0 it is 0."""
    if strength == 0:
        return
    for weight in optimiser.param_groups[0]["params"]:
        if weight.grad is not None:
            weight.grad.add_(weight.sign(), alpha=strength)


def clip(optimiser: optim.Optimizer, longest: float) -> float:
    """Scale the gradient to a norm of `longest` if it is longer and `longest` not 0.

    Returns the norm before that, over all weights.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    if longest > 0:
        nn.utils.clip_grads_with_norm_(weights, longest, norm)
    return norm.item()
