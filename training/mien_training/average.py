"""A moving average of the weights while they learn."""

import copy

import torch

from mien_training.networks.embedding import EmbeddingNetwork


class MovingAverage:
    """average ← d·average + (1 - d)·weights after each step, running statistics included.

    Early on d is (1 + steps) / (10 + steps), so that the first weights are soon forgotten
    (as in TensorFlow's ExponentialMovingAverage), until it reaches `decay`. At 0 it is a copy.
    """

    def __init__(self, network: EmbeddingNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, network: EmbeddingNetwork, step: int) -> None:
        """Take in the weights as they are after `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        current = network.state_dict()
        for name, averaged in self.network.state_dict().items():
            if averaged.is_floating_point():
                averaged.lerp_(current[name], 1 - decay)
            else:
                averaged.copy_(current[name])
