"""What a recipe may say: every key with its meaning, its source and its default.

A recipe is a TOML file. `mien_training.loading` reads one and turns what pydantic refuses into a
sentence. To add a network, a head, an optimiser or a schedule, write its model here, name it in
its union, and give it a case where its room builds it; to add a loss, write its model and name it
as a field of `Losses`. A model has the same name as the key it is chosen by.

The module imports neither torch nor albumentations, so a wrong recipe is refused at once.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """A table of a recipe: a key that is unknown, of another type or out of range is refused."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Crop(Settings):
    """The size of the pictures that the network sees."""

    height: int = Field(default=112, ge=16, le=1024)
    """Pixels. 112 is the usual size of a face crop (Deng et al. 2019, ArcFace)."""
    width: int = Field(default=112, ge=16, le=1024)
    """Pixels."""


class Batches(Settings):
    """P people with K pictures each (Hermans et al. 2017, "In Defense of the Triplet Loss")."""

    people: int = Field(default=16, ge=2)
    """P, different people in a batch; 18 in Hermans et al."""
    pictures: int = Field(default=4, ge=1)
    """K, pictures of each; 4 in Hermans et al."""


class Flip(Settings):
    """Mirror left and right."""

    probability: Probability = 0.5


class Rotation(Settings):
    """Turn about the middle; the corners are filled by reflection."""

    probability: Probability = 0.5
    degrees: float = Field(default=10.0, gt=0, le=180)
    """The most, either way."""


class Shift(Settings):
    """Move and scale; what comes in from outside is filled by reflection."""

    probability: Probability = 0.5
    distance: float = Field(default=0.05, ge=0, le=0.5)
    """The most, either way, as a share of the side."""
    scale: Share = 0.1
    """The most that the picture shrinks or grows, as a share of its size."""


class RandomCrop(Settings):
    """Keep a part of the picture and scale it back."""

    probability: Probability = 0.5
    smallest: float = Field(default=0.8, gt=0, le=1)
    """The least area that is kept, as a share of the picture."""


class ColourShift(Settings):
    """Change brightness, saturation and hue."""

    probability: Probability = 0.5
    brightness: Share = 0.2
    saturation: Share = 0.2
    hue: float = Field(default=0.02, ge=0, le=0.5)
    """As a share of the colour circle."""


class Noise(Settings):
    """Add Gaussian noise, the same to all three channels."""

    probability: Probability = 0.5
    deviation: float = Field(default=0.04, gt=0, le=1)
    """The most; 1 is the range from black to white."""


class InformationLoss(Settings):
    """Blot out one rectangle (Zhong et al. 2017, random erasing; DeVries and Taylor 2017)."""

    probability: Probability = 0.5
    largest: float = Field(default=0.3, gt=0, le=1)
    """The longest side of the rectangle, as a share of the picture's."""


class Contrast(Settings):
    """Strengthen or weaken the contrast."""

    probability: Probability = 0.5
    strength: float = Field(default=0.3, gt=0, lt=1)


class Augmentation(Settings):
    """What happens to a training picture, in this order. A table that is not there is off."""

    flip: Flip | None = None
    rotation: Rotation | None = None
    shift: Shift | None = None
    random_crop: RandomCrop | None = None
    colour_shift: ColourShift | None = None
    contrast: Contrast | None = None
    noise: Noise | None = None
    information_loss: InformationLoss | None = None


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


class LinearHead(Settings):
    """Logits are W·x + b of the raw embedding, as in Wen et al. 2016."""

    kind: Literal["linear"]


class CosineHead(Settings):
    """Logits are scaled cosines, the person's own less a margin (Wang et al. 2018, CosFace)."""

    kind: Literal["cosine"]
    scale: Positive = 16.0
    """What a cosine is multiplied by. 64 in CosFace, for thousands of people; fewer take less."""
    margin: Share = 0.1
    """Taken off the cosine to the own person; 0.35 in CosFace, 0 is a plain normalised softmax."""


Head: TypeAlias = Annotated[LinearHead | CosineHead, Field(discriminator="kind")]


class Softmax(Settings):
    """Cross-entropy over the people of training."""

    weight: NotNegative = 1.0
    head: Head = CosineHead(kind="cosine")


class Center(Settings):
    """Center loss (Wen et al. 2016): pull a picture's embedding towards its person's centre."""

    weight: NotNegative = 0.003
    """λ; 0.003 in the paper."""
    rate: float = Field(default=0.5, gt=0, le=1)
    """α, how far a centre moves at each step; 0.5 in the paper."""
    space: Literal["raw", "unit"] = "raw"
    """Whether embeddings are taken as they come, as in the paper, or as unit vectors."""


class SemiHard(Settings):
    """Negatives farther than the positive, but within the margin (Schroff et al. 2015)."""

    kind: Literal["semi_hard"]


class BatchHard(Settings):
    """Each anchor's farthest positive and nearest negative (Hermans et al. 2017)."""

    kind: Literal["batch_hard"]


class BatchAll(Settings):
    """Every triplet that has a loss (Hermans et al. 2017, batch all ≠ 0)."""

    kind: Literal["batch_all"]


Selection: TypeAlias = Annotated[SemiHard | BatchHard | BatchAll, Field(discriminator="kind")]


class Triplet(Settings):
    """Triplet loss (Schroff et al. 2015, FaceNet)."""

    weight: NotNegative = 1.0
    margin: Positive = 0.2
    """In the unit of `distance`; 0.2 in FaceNet."""
    distance: Literal["squared", "plain"] = "squared"
    """Euclidean, between unit vectors; squared in FaceNet."""
    selection: Selection = SemiHard(kind="semi_hard")


class Losses(Settings):
    """A weighted sum: each table that is there is one part of it."""

    softmax: Softmax | None = None
    center: Center | None = None
    triplet: Triplet | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(
                f"losses is empty; give at least one of {', '.join(type(self).model_fields)}"
            )
        if self.model_fields_set == {"center"}:
            raise ValueError(
                "losses.center alone draws everybody to one point; add losses.softmax or "
                "losses.triplet"
            )
        return self


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


class Recipe(Settings):
    """Everything that decides what `mien-train fit` learns, besides the folder of people."""

    seed: int = Field(default=1, ge=0, lt=2**32)
    """Of the split, the first weights, the batches and the augmentation."""
    epochs: Count = 40
    """In each of them every picture of training occurs."""
    validation_people: Share = 0.2
    """Share of the people who are never trained on; they watch the training and calibrate later."""
    validate_every: Count = 10
    """Epochs between two measurements on the people of validation; the last epoch always is."""
    checkpoint_every: Count = 10
    """Epochs between two checkpoints; the last epoch always is one."""
    threads: int = Field(default=0, ge=0)
    """Of torch; 0 leaves it to torch. A small network learns faster on 1, and the same on any."""
    dimension: Count = 128
    """Of an embedding; 128 in FaceNet."""
    flip_embedding: bool = True
    """Embed the crop and its mirror image and take their mean direction; not while training."""
    ema_decay: Share = 0.0
    """Keep a moving average of the weights with this decay a step and use that; 0 is off."""
    crop: Crop = Crop()
    batches: Batches = Batches()
    augmentation: Augmentation = Augmentation(flip=Flip())
    network: Network = Cnn(kind="cnn")
    losses: Losses
    optimiser: Optimiser = Sgd(kind="sgd")
    schedule: Schedule = Cosine(kind="cosine")

    @model_validator(mode="after")
    def _halvings(self) -> Self:
        side = min(self.crop.height, self.crop.width)
        if isinstance(self.network, Cnn) and side < 2 ** len(self.network.channels):
            raise ValueError(
                f"network.channels has {len(self.network.channels)} blocks, and a side of {side} "
                "pixels cannot be halved so often; take blocks away or a larger crop"
            )
        return self

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.losses.triplet and self.batches.pictures < 2:
            raise ValueError(
                "batches.pictures is 1, but losses.triplet needs two pictures of a person in a "
                "batch; set it to 2 or more"
            )
        return self
