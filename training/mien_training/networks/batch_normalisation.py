"""Batch normalisation over the whole batch, where several processes hold a share of it each."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn import functional as F

from mien_training.process_group import ProcessGroup


def normalise_together(network: nn.Module, group: ProcessGroup) -> None:
    """Let every batch normalisation within a network see the shares of all processes.

    Weights, statistics and their names stay, so that a checkpoint fits either.
    """
    if group.size == 1:
        return
    replaced: dict[nn.Module, nn.Module] = {}
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, replaced.setdefault(child, SharedBatchNorm(child, group)))


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """What torch.nn.SyncBatchNorm does, which refuses a CPU. All shares are of one size."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, alone: nn.BatchNorm1d | nn.BatchNorm2d, group: ProcessGroup) -> None:
        super().__init__(alone.num_features, alone.eps, alone.momentum)
        self.group = group
        self.weight, self.bias = alone.weight, alone.bias
        self.load_state_dict(alone.state_dict())
        self.to(alone.weight.device).train(alone.training)

    def forward(self, maps: Tensor) -> Tensor:
        """[B/n, C, …]; while training normalised by the moments of all [B, C, …]."""
        if not self.training:
            return F.batch_norm(
                maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        variance, mean = self._moments(maps.float())
        self._track(mean.detach(), variance.detach(), self.group.size * maps.numel() // len(mean))
        scale = self.weight * (variance + self.eps).rsqrt()
        shape = (1, -1, *(1,) * (maps.ndim - 2))
        normal = (maps - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normal.to(maps.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""

    def _moments(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Variance and mean [C] over the whole batch, from those of each share.

        Adding up squares instead would lose digits where the mean is large (Chan et al. 1979).
        """
        axes = (0, *range(2, maps.ndim))
        own = torch.stack(torch.var_mean(maps, axes, correction=0))
        variances, means = _Gathered.apply(own, self.group).unbind(dim=1)  # [n, C] each
        mean = means.mean(dim=0)
        return (variances + (means - mean).square()).mean(dim=0), mean

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        share = self.momentum or 0.0
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)


class _Gathered(Function):
    """Of a tensor of every process their stack [n, …]; the gradients of all uses are added up."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: ProcessGroup) -> Tensor:
        ctx.rank = group.rank
        parts = [torch.empty_like(own) for _ in range(group.size)]
        distributed.all_gather(parts, own)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        total = slopes[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.rank], None
