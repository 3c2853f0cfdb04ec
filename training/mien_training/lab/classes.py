"""Which pictures are taken for another class."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from mien_training.data import Crops
from mien_training.learner import Learner
from mien_training.losses.heads import ArcfaceLogits, CosfaceLogits, LinearLogits
from mien_training.losses.softmax import SoftmaxLoss
from mien_training.losses.squared_error import SquaredErrorLoss

Wrong: TypeAlias = npt.NDArray[np.bool_]
"""[N]."""


@torch.no_grad()
def embeddings(learner: Learner, crops: Crops) -> Tensor:
    """Raw ones, float32 [N, D], in evaluation; the network is left in training."""
    learner.network.eval()
    raw = learner.network.features(torch.from_numpy(crops.images))
    learner.network.train()
    return raw


@torch.no_grad()
def wrong(learner: Learner, crops: Crops) -> Wrong:
    """By the class head of losses.softmax or losses.squared_error, without a margin.

    Raises ValueError of a learner that has neither.
    """
    scores = _scores(learner, embeddings(learner, crops))
    return np.asarray(scores.argmax(dim=1).numpy() != crops.labels)


@torch.no_grad()
def loss(learner: Learner, crops: Crops) -> float:
    """Of all crops at once, in evaluation."""
    learner.losses.eval()
    term = learner.losses(embeddings(learner, crops), torch.from_numpy(crops.labels))
    learner.losses.train()
    return float(term.log["loss"])


def _scores(learner: Learner, raw: Tensor) -> Tensor:
    for term in learner.losses.terms.values():
        match term:
            case SoftmaxLoss() | SquaredErrorLoss():
                return _without_margin(term.head, raw)
    raise ValueError(f"none of the losses {', '.join(learner.losses.terms)} has a class head")


def _without_margin(head: torch.nn.Module, raw: Tensor) -> Tensor:
    match head:
        case LinearLogits():
            scores: Tensor = head.linear(raw)
        case CosfaceLogits() | ArcfaceLogits():
            scores = F.normalize(raw) @ F.normalize(head.weight).T
        case _:
            raise ValueError(f"{type(head).__name__} is no class head that is known here")
    return scores
