"""Losses, class heads and the selection of triplets."""

import math
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from mien_training.config.table import NotNegative, Positive, Settings, Share


class LinearHead(Settings):
    """Logits are W·x + b of the raw embedding, as in Wen et al. 2016."""

    kind: Literal["linear"]


class CosfaceHead(Settings):
    """Logits are scaled cosines, the own person's less a margin (Wang et al. 2018, CosFace)."""

    kind: Literal["cosface"]
    scale: Positive = 16.0
    """s, what a cosine is multiplied by. 64 in CosFace (Wang et al. 2018), for thousands of people;
    16 is ours, for fewer."""
    margin: Share = 0.1
    """m, taken off the cosine to the own person; 0 is a plain normalised softmax. Ours; 0.35 in
    CosFace (Wang et al. 2018)."""


class ArcfaceHead(Settings):
    """Logits are scaled cosines, the own person's angle widened by a margin (Deng et al. 2019)."""

    kind: Literal["arcface"]
    scale: Positive = 16.0
    """s, as for cosface; 16 is ours, and 64 in ArcFace (Deng et al. 2019)."""
    margin: float = Field(default=0.15, ge=0, lt=math.pi / 2)
    """m, radians added to the angle to the own person. Ours; 0.5 in ArcFace (Deng et al. 2019), to
    which this is as the margin of cosface is to CosFace's."""


Head: TypeAlias = Annotated[LinearHead | CosfaceHead | ArcfaceHead, Field(discriminator="kind")]


class Softmax(Settings):
    """Cross-entropy over the people of training."""

    weight: NotNegative = 1.0
    """What the loss is multiplied by; 1, which is ours, leaves it as it is."""
    head: Head = CosfaceHead(kind="cosface")
    """The choice of cosface is ours."""


class Center(Settings):
    """Center loss (Wen et al. 2016): pull a picture's embedding towards its person's centre."""

    weight: NotNegative = 0.003
    """λ; 0.003 in Wen et al. 2016."""
    rate: float = Field(default=0.5, gt=0, le=1)
    """α, how far a centre moves at each step; 0.5 in Wen et al. 2016."""
    space: Literal["raw", "unit"] = "raw"
    """Whether embeddings are taken as they come, as in Wen et al. 2016, or as unit vectors."""


class SquaredError(Settings):
    """Half the squared distance between W·x + b and the one-hot target (the course's E)."""

    weight: NotNegative = 1.0
    """What the loss is multiplied by; 1, which is ours, leaves it as it is."""


class SemiHard(Settings):
    """Negatives farther than the positive, but within the margin (Schroff et al. 2015)."""

    kind: Literal["semi_hard"]


class BatchHard(Settings):
    """Each anchor's farthest positive and nearest negative (Hermans et al. 2017)."""

    kind: Literal["batch_hard"]


class BatchAll(Settings):
    """Every triplet that has a loss (Hermans et al. 2017, batch all ≠ 0)."""

    kind: Literal["batch_all"]


class Random(Settings):
    """A negative drawn at random for each anchor and positive.

    Soon few of them have a loss, and learning stalls (Schroff et al. 2015, section 3.2).
    """

    kind: Literal["random"]


class DistanceWeighted(Settings):
    """A negative drawn for each anchor and positive, at all distances alike (Wu et al. 2017).

    Its weight is 1/q(d), the inverse of how often a distance occurs among random directions.
    """

    kind: Literal["distance_weighted"]
    nearest: float = Field(default=0.5, gt=0, lt=2)
    """Euclidean; nearer negatives have the weight of this distance, which tames the noise of their
    gradients. 0.5 in the authors' code (Wu et al. 2017)."""
    farthest: float = Field(default=1.4, gt=0, le=2)
    """Euclidean; farther negatives are drawn only where there is none within, then all alike. 1.4
    in the authors' code (Wu et al. 2017)."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.nearest >= self.farthest:
            raise ValueError(
                f"losses.triplet.selection.nearest is {self.nearest:g} and not below farthest, "
                f"{self.farthest:g}; lower the one or raise the other"
            )
        return self


Selection: TypeAlias = Annotated[
    SemiHard | BatchHard | BatchAll | Random | DistanceWeighted, Field(discriminator="kind")
]


class Triplet(Settings):
    """Triplet loss (Schroff et al. 2015, FaceNet)."""

    weight: NotNegative = 1.0
    """What the loss is multiplied by; 1, which is ours, leaves it as it is."""
    margin: Positive = 0.2
    """In the unit of `distance`; 0.2 in FaceNet (Schroff et al. 2015)."""
    distance: Literal["squared", "plain"] = "squared"
    """Euclidean, between unit vectors; squared in FaceNet (Schroff et al. 2015)."""
    selection: Selection = SemiHard(kind="semi_hard")
    """semi_hard in FaceNet (Schroff et al. 2015)."""


class Pairs(Settings):
    """The keys of losses over all pairs of a batch, as the two halves of a Siamese network see."""

    weight: NotNegative = 1.0
    """What the loss is multiplied by; 1, which is ours, leaves it as it is."""
    balanced: bool = True
    """Whether pairs of one person and of two count half each, which is ours. With false all pairs
    count alike, as in the papers, and a P×K batch has (P-1)·K/(K-1) times as many of two people."""


class Contrastive(Pairs):
    """Contrastive loss (Hadsell et al. 2006): ½d² for one person, ½[margin - d]₊² for two."""

    margin: Positive = 1.0
    """m, a Euclidean distance; 1 in SigNet (Dey et al. 2017)."""
    space: Literal["raw", "unit"] = "unit"
    """Whether distances are between unit vectors, which are what is served, or between embeddings
    as they come, as in Hadsell et al. 2006. The choice of unit is ours."""


class PairDecision(Pairs):
    """Binary cross-entropy of "same or different?", decided by slope·d + offset.

    Both are learned, from a slope of -5 and an offset of 5. On squared distances between unit
    vectors that is 10·cosine - 5: the form of Wan et al. 2018 (GE2E, section 2.1) with its first
    values (section 3).
    """

    distance: Literal["squared", "plain"] = "squared"
    """Euclidean, between unit vectors; squared, it is an affine of the cosine as in Wan et al.
    2018."""


class Losses(Settings):
    """A weighted sum: each table that is there is one part of it."""

    softmax: Softmax | None = None
    squared_error: SquaredError | None = None
    center: Center | None = None
    triplet: Triplet | None = None
    contrastive: Contrastive | None = None
    pair_decision: PairDecision | None = None

    @property
    def of_pairs(self) -> tuple[str, ...]:
        """Those that need two pictures of a person in a batch."""
        names = ("triplet", "contrastive", "pair_decision")
        return tuple(name for name in names if getattr(self, name))

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
