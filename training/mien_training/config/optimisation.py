"""Optimisers, schedules of the learning rate, and when to stop."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from mien_training.config.table import Count, NotNegative, Positive, Settings, Share

Factor: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Metric: TypeAlias = Literal["eer", "fnmr"]


class Penalties(Settings):
    """Pulls on matrices and kernels, not on biases, normalisation and slopes."""

    weight_decay: NotNegative = 0.0
    """L2: adds weight_decay·w to the gradient of a weight w; 0 is off."""
    l1: NotNegative = 0.0
    """L1: adds l1·sign(w) to the gradient of a weight w (Tibshirani 1996), which draws weights to
    0; 0 is off."""


class Sgd(Penalties):
    """v ← momentum·v + g, w ← w - learning_rate·v; plain gradient descent at momentum 0."""

    kind: Literal["sgd"]
    learning_rate: Positive = 0.1
    """η; 0.1 in ArcFace (Deng et al. 2019), whose batches are 8 times as large as ours."""
    momentum: Share = 0.9
    """γ, what is kept of the last step (Polyak 1964); 0.9 in ArcFace (Deng et al. 2019)."""
    nesterov: bool = True
    """Look ahead: w ← w - learning_rate·(g + momentum·v) (Sutskever et al. 2013); on in He et al.
    2018 (Bag of Tricks)."""
    weight_decay: NotNegative = 5e-4
    """L2; 5e-4 in ArcFace (Deng et al. 2019)."""

    @model_validator(mode="after")
    def _nothing_to_look_ahead_with(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError(
                "optimiser.nesterov is true and optimiser.momentum 0, so there is nothing to look "
                "ahead with; set optimiser.nesterov=false for plain gradient descent"
            )
        return self


class Rmsprop(Penalties):
    """s ← rho·s + (1 - rho)·g², w ← w - learning_rate·g / (√s + ε) (Hinton 2012, lecture 6e)."""

    kind: Literal["rmsprop"]
    learning_rate: Positive = 1e-3
    """η; 0.001 is what Ruder 2016 quotes from Hinton, whose slides give none."""
    rho: Share = 0.9
    """What is kept of the mean square; 0.9 in the slides of Hinton 2012."""
    epsilon: Positive = 1e-8
    """ε; 1e-8 in torch."""


class Adam(Penalties):
    """w ← w - learning_rate·v̂ / (√ŝ + ε) (Kingma and Ba 2015).

    v ← beta1·v + (1 - beta1)·g and s ← beta2·s + (1 - beta2)·g²; v̂ = v / (1 - beta1ᵗ) and
    ŝ = s / (1 - beta2ᵗ) correct their start at 0.
    """

    kind: Literal["adam"]
    learning_rate: Positive = 1e-3
    """η; 0.001 in Kingma and Ba 2015."""
    beta1: Share = 0.9
    """What is kept of the mean gradient; 0.9 in Kingma and Ba 2015."""
    beta2: Share = 0.999
    """What is kept of the mean square; 0.999 in Kingma and Ba 2015."""
    epsilon: Positive = 1e-8
    """ε; 1e-8 in Kingma and Ba 2015."""


class AdamW(Penalties):
    """Adam with decoupled weight decay, w ← w - learning_rate·weight_decay·w (Loshchilov 2019)."""

    kind: Literal["adamw"]
    learning_rate: Positive = 1e-3
    """η; 0.001 as in Adam (Kingma and Ba 2015) and in torch."""
    beta1: Share = 0.9
    """As in Adam, 0.9 (Kingma and Ba 2015)."""
    beta2: Share = 0.999
    """As in Adam, 0.999 (Kingma and Ba 2015)."""
    epsilon: Positive = 1e-8
    """As in Adam, 1e-8 (Kingma and Ba 2015)."""
    weight_decay: NotNegative = 0.01
    """Decoupled L2; 0.01 in torch."""


Optimiser: TypeAlias = Annotated[Sgd | Rmsprop | Adam | AdamW, Field(discriminator="kind")]


class WarmUp(Settings):
    """What all schedules begin with."""

    warm_up_epochs: NotNegative = 0.0
    """Epochs in which the learning rate rises linearly first (Goyal et al. 2017); 0 is off."""


class Constant(WarmUp):
    """The learning rate of the optimiser."""

    kind: Literal["constant"]


class Step(WarmUp):
    """The learning rate times `factor` after every `every_epochs` (He et al. 2016)."""

    kind: Literal["step"]
    every_epochs: Count = 30
    """30 in torchvision's training references and in He et al. 2018 (Bag of Tricks)."""
    factor: Factor = 0.1
    """0.1 in He et al. 2016."""


class Cosine(WarmUp):
    """Half a cosine from the learning rate to nearly nothing (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    final: Share = 0.0
    """The share of the learning rate that is left at the end; 0 in Loshchilov and Hutter 2017."""


class Plateau(WarmUp):
    """The learning rate times `factor` whenever validation stops to improve (He et al. 2016)."""

    kind: Literal["plateau"]
    factor: Factor = 0.1
    """0.1 in He et al. 2016."""
    patience: Count = 3
    """Validations in a row (not epochs) without a new best before it falls; ours."""
    metric: Metric = "eer"
    """The EER over people of validation, or their FNMR at an FMR of 1e-2; the choice is ours."""


Schedule: TypeAlias = Annotated[Constant | Step | Cosine | Plateau, Field(discriminator="kind")]


class EarlyStopping(Settings):
    """End the run when validation stops to improve, and use its best weights (Prechelt 1998)."""

    patience: Count = 5
    """Validations in a row (not epochs) without a new best before the run ends; ours."""
    metric: Metric = "eer"
    """The EER over people of validation, or their FNMR at an FMR of 1e-2; the choice is ours."""
