"""Networks and what they are made of."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from mien_training.config.table import Count, Settings, Share

Activation: TypeAlias = Literal["relu", "leaky_relu", "prelu", "tanh"]


class Cnn(Settings):
    """Blocks of 3×3 convolutions, then one linear layer; each block ends by halving the picture."""

    kind: Literal["cnn"]
    channels: tuple[Count, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """Of each block."""
    convolutions: Count = 1
    """In each block, each with batch normalisation and activation (2 and more: as in VGG)."""
    activation: Activation = "prelu"
    """PReLU as in He et al. 2015."""
    pooling: Literal["max", "average"] = "max"
    dropout: Share = 0.0
    """Before the linear layer."""


class Residual(Settings):
    """A stem and stages of residual blocks, each stage at half the size of the one before."""

    kind: Literal["residual"]
    channels: tuple[Count, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """Of each stage."""
    blocks: tuple[Count, ...] = Field(default=(1, 1, 1, 1), min_length=1)
    """Residual blocks in each stage."""
    dropout: Share = 0.0
    """Before the linear layer."""

    @model_validator(mode="after")
    def _stages(self) -> Self:
        if len(self.channels) != len(self.blocks):
            raise ValueError(
                f"network.channels names {len(self.channels)} stages and network.blocks "
                f"{len(self.blocks)}; give both the same length"
            )
        return self


Network: TypeAlias = Annotated[Cnn | Residual, Field(discriminator="kind")]
