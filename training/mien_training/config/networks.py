"""Networks. Each knows what is left of a side of the crop in its last maps, so that a crop too
small for it is refused with the recipe; without a remark, sizes are those of the crop's pixels.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from mien_training.config.layers import (
    Activation,
    He,
    Initialisation,
    Pooling,
    Xavier,
    padded,
    unpadded,
)
from mien_training.config.table import LARGEST_SIDE, Count, Positive, Settings, Share


def _one_or_each(value: object) -> str:
    return "each" if isinstance(value, list | tuple) else "one"


OneOrEach: TypeAlias = Annotated[
    Annotated[Count, Tag("one")] | Annotated[tuple[Count, ...], Tag("each")],
    Discriminator(_one_or_each),
]


class Backbone(Settings):
    """The keys that every network has."""

    dropout: Share = 0.0
    """Share of the values left out before each linear layer (Srivastava et al. 2014)."""
    drop_connect: Share = 0.0
    """Share of the weights of each linear layer left out in a step (Wan et al. 2013)."""


class Initialised(Backbone):
    """The keys of every network whose first weights are ours to draw; biases start at zero."""

    initialisation: Initialisation = He(kind="he")
    """He et al. 2015, for activations of the kind of ReLU."""


class Cnn(Initialised):
    """Blocks of convolutions that end in pooling, then linear layers."""

    kind: Literal["cnn"]
    channels: tuple[Count, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """Of each block; ours, half of those of VGG's first four (Simonyan and Zisserman 2015)."""
    convolutions: OneOrEach = 1
    """In each block, each with batch normalisation and activation, or a number for each block: the
    five of Krizhevsky et al. 2012 are [1, 1, 3]. 1 is ours, and 2 and more are as in VGG-13 and
    deeper (Simonyan and Zisserman 2015)."""
    kernel: Count = 3
    """Side of a convolution; 3 in VGG (Simonyan and Zisserman 2015)."""
    padded: bool = True
    """Whether a convolution keeps the size, by zeros around its input, as in VGG (Simonyan and
    Zisserman 2015); then `kernel` is odd."""
    batch_normalisation: bool = True
    """Between a layer and its activation (Ioffe and Szegedy 2015), and after the last one."""
    activation: Activation = "prelu"
    """PReLU (He et al. 2015)."""
    pooling: Pooling = "max"
    """max in VGG (Simonyan and Zisserman 2015)."""
    window: Count = 2
    """Side of a pooling window; 2 in VGG (Simonyan and Zisserman 2015)."""
    stride: Count = 2
    """Between pooling windows, 2 in VGG (Simonyan and Zisserman 2015); below `window` they overlap
    (3 and 2 in Krizhevsky et al. 2012)."""
    hidden: tuple[Count, ...] = ()
    """Units of linear layers with activation, before the one that gives the embedding; none is
    ours."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.padded and self.kernel % 2 == 0:
            raise ValueError(
                f"network.kernel is {self.kernel}, and only an odd one keeps the size; make it "
                "odd or set network.padded to false"
            )
        return self

    @model_validator(mode="after")
    def _a_number_for_each_block(self) -> Self:
        if len(self.by_block) != len(self.channels):
            raise ValueError(
                f"network.channels names {len(self.channels)} blocks and network.convolutions "
                f"{len(self.by_block)}; give both the same length, or one number for all blocks"
            )
        return self

    @property
    def by_block(self) -> tuple[int, ...]:
        """Convolutions of each."""
        if isinstance(self.convolutions, tuple):
            return self.convolutions
        return (self.convolutions,) * len(self.channels)

    def last_side(self, side: int) -> int:
        for convolutions in self.by_block:
            if not self.padded:
                side = unpadded(side, 1 + convolutions * (self.kernel - 1), 1)
            side = unpadded(side, self.window, self.stride)
        return side


class LeNet(Initialised):
    """LeNet-5 (LeCun et al. 1998), with every map of C3 seeing all of S2 and RGB in.

    Its 10 outputs for digits are the embedding, so `dimension` may be as small or large as liked.
    """

    kind: Literal["lenet"]
    channels: tuple[Count, Count] = (6, 16)
    """Of C1 and C3, 5×5 without padding, as in LeCun et al. 1998."""
    hidden: tuple[Count, ...] = (120, 84)
    """Units of C5 and F6, as in LeCun et al. 1998."""
    activation: Activation = "tanh"
    """tanh, in LeCun et al. 1998 scaled."""
    pooling: Pooling = "average"
    """2×2; the learned factor and shift of LeCun et al. 1998 are left to the next convolution."""
    initialisation: Initialisation = Xavier(kind="xavier")
    """Xavier (Glorot and Bengio 2010), which suits tanh."""

    def plain(self) -> Cnn:
        """The same as a plain network."""
        shared = self.model_dump(exclude={"kind", "initialisation"})
        return Cnn(
            kind="cnn",
            kernel=5,
            padded=False,
            batch_normalisation=False,
            initialisation=self.initialisation,
            **shared,
        )

    def last_side(self, side: int) -> int:
        return self.plain().last_side(side)


class LeNetPlus(Initialised):
    """LeNets++ (Wen et al. 2016, table 1): three pairs of 5×5 convolutions, then the embedding.

    With `dimension = 2` at the top of the recipe its embeddings can be drawn, as in the paper.
    """

    kind: Literal["lenet_plus"]
    channels: tuple[Count, ...] = Field(default=(32, 64, 128), min_length=1)
    """Of each pair, as in Wen et al. 2016."""
    activation: Activation = "prelu"
    """PReLU in Wen et al. 2016."""

    def plain(self) -> Cnn:
        """The same as a plain network."""
        shared = self.model_dump(exclude={"kind", "initialisation"})
        return Cnn(
            kind="cnn",
            convolutions=2,
            kernel=5,
            batch_normalisation=False,
            initialisation=self.initialisation,
            **shared,
        )

    def last_side(self, side: int) -> int:
        return self.plain().last_side(side)


class Siamese(Initialised):
    """The course's Siamese network, one of its two equal halves.

    The course names the layers; every number besides 11, 5, 2 and 3 is a key here. Close to it is
    SigNet (Dey et al. 2017). Its embeddings are never negative, since its last layer is a ReLU.
    """

    kind: Literal["siamese"]
    channels: tuple[Count, Count, Count] = (32, 64, 128)
    """Of the 11×11, 5×5 and 3×3 convolutions, none padded; ours, and 96, 256 and 384 in SigNet (Dey
    et al. 2017)."""
    stride: Count = 4
    """Of the first convolution; 4 in Krizhevsky et al. 2012. Crops below 47 px need less."""
    hidden: Count = 512
    """Units of the first linear layer; ours, and 1024 in SigNet (Dey et al. 2017)."""
    dropout: Share = 0.3
    """After pooling; 0.3 in SigNet (Dey et al. 2017)."""
    hidden_dropout: Share = 0.5
    """After the first linear layer; 0.5 in SigNet (Dey et al. 2017)."""

    def last_side(self, side: int) -> int:
        side = unpadded(unpadded(side, 11, self.stride), 5, 1)
        return unpadded(unpadded(side, 2, 2), 3, 1)


class Residual(Initialised):
    """A stem and stages of residual blocks, each stage at half the size of the one before."""

    kind: Literal["residual"]
    channels: tuple[Annotated[int, Field(ge=8)], ...] = Field(
        default=(32, 64, 128, 256), min_length=1
    )
    """Of each stage; ours, half of those of ResNet-18 (He et al. 2016). Of fewer than 8 torch 2.14
    (oneDNN 3.12) writes beyond the gradient of a shortcut, on processors without AVX-512."""
    blocks: tuple[Count, ...] = Field(default=(1, 1, 1, 1), min_length=1)
    """Residual blocks in each stage; ours, half of those of ResNet-18 (He et al. 2016)."""

    @model_validator(mode="after")
    def _stages(self) -> Self:
        if len(self.channels) != len(self.blocks):
            raise ValueError(
                f"network.channels names {len(self.channels)} stages and network.blocks "
                f"{len(self.blocks)}; give both the same length"
            )
        return self

    def last_side(self, side: int) -> int:
        return padded(side, 2 ** len(self.channels))


class MobileFace(Initialised):
    """MobileFaceNet (Chen et al. 2018, table 1): inverted residuals and a depthwise last layer."""

    kind: Literal["mobile_face"]
    width: Positive = 1.0
    """What every number of channels is multiplied by, to the nearest multiple of 8; 1 in Chen et
    al. 2018."""
    stem_stride: Literal[1, 2] = 2
    """Of the first convolution: 2 for 112 px as in Chen et al. 2018, 1 for crops of about half of
    it."""

    def last_side(self, side: int) -> int:
        return padded(side, self.stem_stride * 2**3)


class ResNet(Backbone):
    """Torchvision's ResNet (He et al. 2016) with fresh weights, its classes replaced by ours."""

    kind: Literal["resnet"]
    depth: Literal[18, 34, 50] = 18
    """Layers; the choice of the least that He et al. 2016 tried on ImageNet is ours."""

    def last_side(self, side: int) -> int:
        return padded(side, 2**5)


class MobileNetV3(Backbone):
    """Torchvision's MobileNetV3 (Howard et al. 2019) with fresh weights, up to its pooling."""

    kind: Literal["mobilenet_v3"]
    size: Literal["small", "large"] = "small"
    """As Howard et al. 2019 call their two networks; the choice of the smaller is ours."""

    def last_side(self, side: int) -> int:
        return padded(side, 2**5)


class Autoencoder(Initialised):
    """A supervised autoencoder (Le et al. 2018): the code is the embedding.

    Learning adds `beta` times the squared error of the decoder's picture to the losses, of which
    losses.softmax is the class head. Only the encoder is exported.
    """

    kind: Literal["autoencoder"]
    channels: tuple[Count, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """Of each 3×3 convolution of stride 2 in the encoder; the decoder's are its mirror image. Ours,
    as those of `cnn`."""
    activation: Activation = "prelu"
    """PReLU (He et al. 2015)."""
    beta: float = Field(default=1.0, ge=0)
    """β; pixels lie between -1 and 1, and the error is the mean over them. 0 learns no decoder; 1
    is ours."""

    def last_side(self, side: int) -> int:
        return padded(side, 2 ** len(self.channels))


Network: TypeAlias = Annotated[
    Cnn | LeNet | LeNetPlus | Siamese | Residual | MobileFace | ResNet | MobileNetV3 | Autoencoder,
    Field(discriminator="kind"),
]


def smallest_side(network: Network) -> int | None:
    """Pixels of the smallest crop that leaves the network something; None where none does."""
    sides = range(1, LARGEST_SIDE + 1)
    return next((side for side in sides if network.last_side(side) >= 1), None)
