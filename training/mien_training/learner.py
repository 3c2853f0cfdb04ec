"""All that changes while learning, and one step of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from mien_training import networks, optimiser, schedule
from mien_training.average import MovingAverage
from mien_training.batches import Batch, Source
from mien_training.config.recipe import Recipe
from mien_training.device import autocast
from mien_training.diagnose import Watch
from mien_training.losses import WeightedSum
from mien_training.networks.batch_normalisation import normalise_together
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.networks.reconstruction import add_reconstruction
from mien_training.patience import Patience
from mien_training.process_group import ProcessGroup
from mien_training.spread import spread

State: TypeAlias = dict[str, Any]
"""What a `state_dict()` of torch gives."""


@dataclass
class Learner:
    """The network, what teaches it, and how far it has come."""

    recipe: Recipe
    device: torch.device
    group: ProcessGroup
    network: EmbeddingNetwork
    losses: WeightedSum
    optimiser: Optimizer
    average: MovingAverage
    falls: schedule.Falls
    patience: Patience
    """Of early stopping; without it nobody asks."""
    watch: Watch
    steps_per_epoch: int
    steps: int = 0
    """Behind it."""
    best: State | None = None
    """With early stopping, the averaged weights of the best validation so far."""

    @classmethod
    def fresh(
        cls, recipe: Recipe, device: torch.device, group: ProcessGroup, people: int, batches: int
    ) -> "Learner":
        """`people` to tell apart, and so many batches an epoch."""
        torch.manual_seed(recipe.seed)
        network = networks.build(recipe).to(device).to(memory_format=torch.channels_last).train()
        normalise_together(network, group)
        losses = WeightedSum(recipe.losses, people, recipe.dimension).to(device).train()
        return cls(
            recipe=recipe,
            device=device,
            group=group,
            network=network,
            losses=losses,
            optimiser=optimiser.build(recipe.optimiser, (network, losses)),
            average=MovingAverage(network, recipe.ema_decay),
            falls=schedule.Falls(recipe.schedule),
            patience=Patience(recipe.early_stopping.patience if recipe.early_stopping else 1),
            watch=Watch(recipe, losses),
            steps_per_epoch=-(-batches // recipe.accumulate),
        )

    def start_from(self, weights: State) -> None:
        """Take the network's weights instead of the fresh ones; what tells people apart is new."""
        self.network.load_state_dict(weights)
        self.average.network.load_state_dict(weights)

    def groups(self, batches: Iterable[Batch]) -> Iterator[list[Batch]]:
        """The batches of an epoch, as many at a time as make a step; the last may be fewer."""
        left = iter(batches)
        while group := list(islice(left, self.recipe.accumulate)):
            yield group

    def epoch(self, number: int, source: Source) -> Iterator[list[Batch]]:
        """The groups of an epoch; what is drawn at random in it follows from the recipe's seed."""
        torch.manual_seed(self.recipe.seed << 32 | number)
        yield from self.groups(source.epoch(number))

    def step(self, group: list[Batch]) -> dict[str, float]:
        """Learn from the mean gradient of some batches; returns what is worth logging."""
        rate = self._learning_rate()
        for weights in self.optimiser.param_groups:
            weights["lr"] = rate
        self.optimiser.zero_grad()
        logs = [self._backward(images, labels, 1 / len(group)) for images, labels in group]
        self.group.combine(self.network, self.losses)
        optimiser.add_l1(self.optimiser, self.recipe.optimiser.l1)
        norm = optimiser.clip(self.optimiser, self.recipe.clip_gradient)
        log = {"learning_rate": rate, **mean(logs), "gradient_norm": norm}
        self.watch.step(self.steps + 1, log)
        self.optimiser.step()
        self.average.update(self.network, self.steps)
        self.steps += 1
        return log

    def _backward(self, images: Tensor, labels: Tensor, share: float) -> dict[str, float]:
        """Add a share of the gradient of a batch: n processes, uint8 [B/n, H, W, 3], int64 [B]."""
        images, labels = images.to(self.device), labels.to(self.device)
        with autocast(self.recipe, self.device):
            own = self.network.features(images).float()  # [B/n, D]
        raw = self.group.gather(own)  # [B, D]
        term = add_reconstruction(self.losses(raw, labels), self.network, images, own, self.group)
        log = {**term.log, **spread(raw, labels)}
        self.watch.batch(self.steps + 1, raw, labels, log)
        (term.loss * share).backward()
        return log

    def validated(self, metrics: Mapping[str, float]) -> None:
        """Look at one validation: "eer" and "fnmr", lower is better."""
        self.falls.validated(metrics)
        stopping = self.recipe.early_stopping
        if stopping and self.patience.take(metrics[stopping.metric]):
            weights = self.average.network.state_dict()
            self.best = {name: value.clone() for name, value in weights.items()}

    @property
    def is_stopped(self) -> bool:
        """Whether validation has gone without a new best for too long."""
        return self.recipe.early_stopping is not None and self.patience.is_over

    def state_dict(self) -> State:
        """All of it, to go on from later; what is the same twice is stored once."""
        average = self.average.network.state_dict()
        return {
            "network": self.network.state_dict(),
            "average": average,
            "used": self.best or average,
            "losses": self.losses.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "falls": self.falls.state_dict(),
            "patience": self.patience.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.best = dict(state["used"]) if self.recipe.early_stopping else None
        self.losses.load_state_dict(state["losses"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.falls.load_state_dict(state["falls"])
        self.patience.load_state_dict(state["patience"])
        self.steps = state["steps"]

    def _learning_rate(self) -> float:
        steps = self.recipe.epochs * self.steps_per_epoch
        return self.recipe.optimiser.learning_rate * schedule.factor(
            self.recipe.schedule, self.steps, steps, self.steps_per_epoch, self.falls.count
        )


def mean(logs: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each column over those that have it."""
    columns = {name: None for log in logs for name in log}
    return {name: fmean(log[name] for log in logs if name in log) for name in columns}
