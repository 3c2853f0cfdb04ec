"""Layers that several networks share."""

from torch import nn

from mien_training.config.networks import Activation

LEAK = 0.01
"""Slope of a leaky ReLU below 0 (Maas et al. 2013)."""


def activation(name: Activation, channels: int) -> nn.Module:
    """An activation; PReLU learns one slope for each of `channels`."""
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(LEAK, inplace=True)
        case "prelu":
            return nn.PReLU(channels)
        case "tanh":
            return nn.Tanh()


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Padded to keep the size at stride 1, without a bias: batch normalisation follows it."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def embedding_head(features: int, dimension: int, dropout: float) -> nn.Sequential:
    """Feature maps [B, C, h, w] with C·h·w = `features` to raw embeddings [B, `dimension`].

    Dropout, linear, batch normalisation: the output setting E of ArcFace (Deng et al. 2019)
    without its first normalisation. The last one has no shift, so that cosines keep their middle.
    """
    normalisation = nn.BatchNorm1d(dimension)
    normalisation.bias.requires_grad_(False)
    return nn.Sequential(
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(features, dimension, bias=False),
        normalisation,
    )


def initialise(network: nn.Module) -> None:
    """Normal weights of He et al. 2015, whose variance suits ReLU and its kin, and zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
