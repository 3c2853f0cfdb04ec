"""The optimiser that a recipe names, over every weight that learns."""

from collections.abc import Iterable

from torch import nn, optim

from mien_training.config.optimisation import AdamW, Optimiser, Sgd


def build(recipe: Optimiser, modules: Iterable[nn.Module]) -> optim.Optimizer:
    """Weight decay is for matrices and kernels, not for biases, normalisation and slopes.

    Decaying those only slows learning (He et al. 2018, "Bag of Tricks", section 3.1).
    """
    weights = [w for module in modules for w in module.parameters() if w.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    match recipe:
        case Sgd(momentum=momentum, nesterov=nesterov):
            rate = recipe.learning_rate
            return optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov)
        case AdamW(beta1=beta1, beta2=beta2):
            return optim.AdamW(groups, lr=recipe.learning_rate, betas=(beta1, beta2))
