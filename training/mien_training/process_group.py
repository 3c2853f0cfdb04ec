"""Processes that learn one network together, as torchrun starts them.

Each process embeds its share of a batch, and takes the losses of the whole batch on embeddings that
are gathered from all: selection sees every pair. The gradient of a network's weight is then the sum
over the processes of what goes through their shares.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from mien.errors import MienError, RunInvalid

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """All processes of a run, seen from one of them. Alone, nothing here talks to anybody."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """The one process that writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The rows of this process among `count`, which the processes share evenly."""
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, own: Tensor) -> Tensor:
        """Rows [B/n, D] of all processes in order, [B, D]; the gradient reaches the own ones."""
        if self.size == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(parts, own.detach().contiguous())
        parts[self.rank] = own
        return torch.cat(parts)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes; without gradient."""
        if self.size == 1:
            return value.detach()
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def combine(self, network: nn.Module, losses: nn.Module) -> None:
        """Make the gradients those of the whole batch, the same bits in every process.

        Of the network they are added up. Of the losses' weights every process has the whole one
        already, so that its mean is taken.
        """
        if self.size == 1:
            return
        partial, whole = _gradients(network), _gradients(losses)
        gradients = [*partial, *(gradient.div_(self.size) for gradient in whole)]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        totals = flat.split([gradient.numel() for gradient in gradients])
        for gradient, total in zip(gradients, totals, strict=True):
            gradient.copy_(total.view_as(gradient))

    def parts(self, part: T) -> list[T]:
        """What each process holds, in order; for anything that can be pickled."""
        if self.size == 1:
            return [part]
        held: list[T] = [part] * self.size
        distributed.all_gather_object(held, part)
        return held

    def agreed(self, work: Callable[[], T]) -> T:
        """Do something in every process; what is refused in one is refused in all, as it was there.

        Otherwise the others would wait for one that has gone.
        """
        if self.size == 1:
            return work()
        done: list[T] = []
        refused = None
        try:
            done.append(work())
        except MienError as error:
            refused = error
        refusals = [each for each in self.parts(refused) if each is not None]
        if refusals:
            raise refusals[0]
        return done[0]

    def by_first(self, work: Callable[[], object]) -> None:
        """Do something in the first process only; what is refused there is refused in all."""
        self.agreed(lambda: work() if self.is_first else None)

    def refuse_unlike(self, start: Mapping[str, object]) -> None:
        """Raises RunInvalid: the processes do not start from the same thing."""
        first, *others = self.parts(start)
        for number, other in enumerate(others, start=1):
            for what, value in first.items():
                if other[what] != value:
                    raise RunInvalid(
                        f"process {number} starts from another {what} than process 0, "
                        f"{other[what]} and not {value}; give every process the same recipe, "
                        "FOLDER and --out"
                    )


ALONE = ProcessGroup()
"""The group of a process that torchrun did not start."""


@contextmanager
def joined(device: torch.device) -> Iterator[ProcessGroup]:
    """The group that torchrun started this process for, or the process alone."""
    if not is_launched():
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
        distributed.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
    else:
        distributed.init_process_group("gloo")
    try:
        yield ProcessGroup(rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def is_launched() -> bool:
    """Whether torchrun started this process, and others with it."""
    return distributed.is_torchelastic_launched() and os.environ["WORLD_SIZE"] != "1"


def rank() -> int:
    """Which of all processes this one is; 0 without torchrun."""
    return int(os.environ["RANK"]) if is_launched() else 0


def local_rank() -> int:
    """Which of the processes on this machine it is; 0 without torchrun."""
    return int(os.environ["LOCAL_RANK"]) if is_launched() else 0


def _gradients(module: nn.Module) -> list[Tensor]:
    return [weight.grad for weight in module.parameters() if weight.grad is not None]
