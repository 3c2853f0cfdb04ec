"""A whole recipe.

A recipe is a TOML file. `mien_training.loading` reads one and turns what pydantic refuses into a
sentence. To add a network, a head, an optimiser or a schedule, write its model in the file of its
noun, name it in its union there, and give it a case where its room builds it; to add a loss, write
its model and name it as a field of `Losses`. A model has the same name as the key it is chosen by.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from mien.vision.crops import Alignment
from mien_training.config.augmentation import Augmentation, Flip
from mien_training.config.losses import Losses
from mien_training.config.networks import Cnn, Network, smallest_side
from mien_training.config.optimisation import (
    Cosine,
    EarlyStopping,
    Optimiser,
    Plateau,
    Schedule,
    Sgd,
)
from mien_training.config.table import LARGEST_SIDE, LEAST_SIDE, Count, NotNegative, Settings, Share


class Crop(Settings):
    """The pictures that the network sees."""

    height: int = Field(default=112, ge=LEAST_SIDE, le=LARGEST_SIDE)
    """Pixels. 112 is the usual size of a face crop (Deng et al. 2019, ArcFace)."""
    width: int = Field(default=112, ge=LEAST_SIDE, le=LARGEST_SIDE)
    """Pixels; 112 in ArcFace (Deng et al. 2019)."""
    alignment: Alignment = "none"
    """How the folder's pictures became crops, and how the service will make its own: "arcface-5"
    (Deng et al. 2019) for what `mien-train prepare` made. Learning only scales them."""


class Batches(Settings):
    """P people with K pictures each (Hermans et al. 2017, "In Defense of the Triplet Loss")."""

    people: int = Field(default=16, ge=2)
    """P, different people in a batch; ours, and 18 in Hermans et al. 2017."""
    pictures: int = Field(default=4, ge=1)
    """K, pictures of each; 4 in Hermans et al. 2017."""


class Recipe(Settings):
    """Everything that decides what `mien-train fit` learns, besides the folder of people."""

    seed: int = Field(default=1, ge=0, lt=2**32)
    """Of the split, the first weights, the batches and the augmentation; ours."""
    epochs: Count = 40
    """In each of them every picture of training occurs; ours."""
    validation_people: Share = 0.2
    """Share of the people who are never trained on; they watch the training and calibrate later.
    Ours."""
    validate_every: Count = 10
    """Epochs between two measurements on the people of validation; the last epoch always is one.
    Ours."""
    checkpoint_every: Count = 10
    """Epochs between two checkpoints; the last epoch always is one. Ours."""
    threads: int = Field(default=0, ge=0)
    """Of torch on a CPU; 0 leaves it to torch. A small network learns faster on 1, and the same on
    any."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network learns; "auto", which is ours, is the first there is of cuda, mps and
    cpu."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's activations, float32 in torch; weights and losses are float32 with either
    (torch's autocast)."""
    dimension: Count = 128
    """Of an embedding; 128 in FaceNet (Schroff et al. 2015)."""
    flip_embedding: bool = True
    """Embed the crop and its mirror image and take their mean direction; not while training. The
    choice is ours."""
    ema_decay: Share = 0.0
    """Keep a moving average of the weights with this decay a step and use that; 0 is off. Ours."""
    accumulate: Count = 1
    """Batches whose mean gradient makes one step; each has normalisation and triplets by itself. 1
    is off."""
    clip_gradient: NotNegative = 0.0
    """The longest gradient, over all weights; a longer one is scaled to it (Pascanu et al. 2013).
    0 is off."""
    crop: Crop = Crop()
    """112×112 (Deng et al. 2019)."""
    batches: Batches = Batches()
    """16 people, which is ours, with 4 pictures each (Hermans et al. 2017)."""
    augmentation: Augmentation = Augmentation(flip=Flip())
    """Flips alone, which is ours, where a recipe has no such table."""
    network: Network = Cnn(kind="cnn")
    """The choice of cnn is ours."""
    losses: Losses
    optimiser: Optimiser = Sgd(kind="sgd")
    """sgd in ArcFace (Deng et al. 2019)."""
    schedule: Schedule = Cosine(kind="cosine")
    """The choice of cosine is ours."""
    early_stopping: EarlyStopping | None = None

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        side = min(self.crop.height, self.crop.width)
        if self.network.last_side(side) < 1:
            least = smallest_side(self.network)
            larger = f"make both sides at least {least} or " if least else ""
            raise ValueError(
                f"a crop of {self.crop.height}×{self.crop.width} is too small for the layers of "
                f"network.kind {self.network.kind}; {larger}choose a smaller network"
            )
        return self

    @model_validator(mode="after")
    def _somebody_to_watch(self) -> Self:
        watching = "schedule.kind is plateau" if isinstance(self.schedule, Plateau) else ""
        watching = "early_stopping is on" if self.early_stopping else watching
        if watching and self.validation_people == 0:
            raise ValueError(
                f"{watching}, but validation_people is 0, so there is nothing to watch; "
                "set it to 0.2 or so"
            )
        return self

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.losses.of_pairs and self.batches.pictures < 2:
            raise ValueError(
                f"batches.pictures is 1, but losses.{self.losses.of_pairs[0]} needs two pictures "
                "of a person in a batch; set it to 2 or more"
            )
        return self
