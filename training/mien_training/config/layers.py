"""What networks are made of: activations, pooling, first weights, and what is left of a side."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mien_training.config.table import Positive, Settings

Activation: TypeAlias = Literal["relu", "leaky_relu", "prelu", "tanh", "sigmoid"]
Pooling: TypeAlias = Literal["max", "average", "sum"]


class He(Settings):
    """Normal weights of variance 2/fan, which ReLU and its kin carry to any depth (He 2015)."""

    kind: Literal["he"]
    fan: Literal["in", "out"] = "out"
    """A unit's connections to the layer before it (the course's form) or after it. He et al. 2015,
    section 2.2: the first keeps the size of the maps, the second that of the gradients. "out" in
    torchvision's ResNets."""


class Xavier(Settings):
    """Normal weights of variance 1/fan, which suits tanh (Glorot and Bengio 2010)."""

    kind: Literal["xavier"]
    fan: Literal["in", "out", "mean"] = "mean"
    """A unit's connections to the layer before it (the course's form), after it, or the mean of the
    two (Glorot and Bengio 2010, equation 12)."""


class Normal(Settings):
    """Normal weights of one deviation in every layer."""

    kind: Literal["normal"]
    deviation: Positive = 0.01
    """σ; 0.01 in Krizhevsky et al. 2012. When deep, a large one explodes, a small one vanishes."""


Initialisation: TypeAlias = Annotated[He | Xavier | Normal, Field(discriminator="kind")]


def padded(side: int, stride: int) -> int:
    """A side after an odd window that is padded by half of itself; no more than 0 stays so."""
    return -(-side // stride)


def unpadded(side: int, window: int, stride: int) -> int:
    """The number of places of a window that lies wholly inside; no more than 0 for none."""
    return (side - window) // stride + 1
