"""Optimisers and schedules of the learning rate."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mien_training.config.table import NotNegative, Positive, Settings, Share


class Sgd(Settings):
    """Gradient descent with momentum."""

    kind: Literal["sgd"]
    learning_rate: Positive = 0.1
    momentum: Share = 0.9
    nesterov: bool = True
    weight_decay: NotNegative = 5e-4
    """Not on biases and normalisation. 5e-4 in ArcFace."""


class AdamW(Settings):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"]
    learning_rate: Positive = 1e-3
    beta1: Share = 0.9
    beta2: Share = 0.999
    weight_decay: NotNegative = 0.01
    """Not on biases and normalisation."""


Optimiser: TypeAlias = Annotated[Sgd | AdamW, Field(discriminator="kind")]


class Constant(Settings):
    """The learning rate of the optimiser, after a linear warm-up."""

    kind: Literal["constant"]
    warm_up_epochs: NotNegative = 0.0
    """Rises linearly first (Goyal et al. 2017)."""


class Cosine(Settings):
    """Half a cosine from the learning rate to nearly nothing (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    warm_up_epochs: NotNegative = 0.0
    """Rises linearly first (Goyal et al. 2017)."""
    final: Share = 0.0
    """The share of the learning rate that is left at the end."""


Schedule: TypeAlias = Annotated[Constant | Cosine, Field(discriminator="kind")]
