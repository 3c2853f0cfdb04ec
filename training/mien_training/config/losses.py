"""Losses, class heads and the selection of triplets."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from mien_training.config.table import NotNegative, Positive, Settings, Share


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
