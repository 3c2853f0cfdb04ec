"""Which classes pictures are taken for."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from mien_training.data import Crops, Labels
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
def scores(learner: Learner, crops: Crops) -> Tensor:
    """[N, classes], by the class head of losses.softmax or losses.squared_error without a margin.

    Raises ValueError of a learner that has neither.
    """
    return _scores(learner, embeddings(learner, crops))


def answers(learner: Learner, crops: Crops) -> Labels:
    """The class of the highest score. Raises as `scores`."""
    found: Labels = scores(learner, crops).argmax(dim=1).numpy()
    return found


def wrong(learner: Learner, crops: Crops) -> Wrong:
    """Which answers are not the label. Raises as `scores`."""
    return np.asarray(answers(learner, crops) != crops.labels)


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
            found: Tensor = head.linear(raw)
        case CosfaceLogits() | ArcfaceLogits():
            found = F.normalize(raw) @ F.normalize(head.weight).T
        case _:
            raise ValueError(f"{type(head).__name__} is no class head that is known here")
    return found
