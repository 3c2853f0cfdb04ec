"""The experiments, in the order of the course; each is imported when it runs."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien_training.lab.experiment import Experiment


@dataclass(frozen=True)
class Listed:
    """What is known of an experiment without importing it."""

    name: str
    title: str

    def load(self) -> "Experiment":
        module = import_module(f"{__name__}.{self.name.replace('-', '_')}")
        found: Experiment = module.EXPERIMENT
        return found


LISTED = (
    Listed("center-toy", "Center loss in two dimensions"),
    Listed("losses", "Losses, and people who were not learned from"),
    Listed("triplets", "How triplets are selected, and how random ones stall"),
    Listed("depth", "What layers and filters are worth"),
    Listed("init", "First weights: too large, too small, Xavier and He"),
    Listed("activations", "ReLU, leaky ReLU, tanh and sigmoid"),
    Listed("optimisers", "Optimisers and learning rates"),
    Listed("batch-size", "One picture, a mini-batch, or all at once"),
    Listed("batchnorm", "Batch normalisation"),
    Listed("regularisers", "What keeps a network from learning by heart"),
    Listed("augmentation", "More pictures out of the same ones"),
    Listed("pooling", "Pooling, and the answer to small shifts"),
    Listed("filters", "Gaussian filters, and filters that were learned"),
    Listed("autoencoder", "An autoencoder that is told the classes"),
    Listed("sharing", "Weights that are shared over the picture"),
)
