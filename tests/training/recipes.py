"""A recipe small enough for a test, and its TOML."""

from pathlib import Path

from mien_training.config.recipe import Recipe
from mien_training.loading import load_recipe

TOML = """
epochs = 2
validation_people = 0.4
validate_every = 1
checkpoint_every = 1
dimension = 8
ema_decay = 0.5

[crop]
height = 16
width = 16

[batches]
people = 2
pictures = 2

[augmentation.flip]
[augmentation.rotation]
[augmentation.noise]

[network]
kind = "cnn"
channels = [4, 4]
dropout = 0.1

[losses.softmax]
[losses.center]
[losses.triplet]
selection = { kind = "batch_all" }

[optimiser]
kind = "sgd"
learning_rate = 0.01
"""


def small(folder: Path, *overrides: str) -> Recipe:
    """The recipe above, written to `folder` and loaded from there."""
    path = folder / "small.toml"
    path.write_text(TOML)
    return load_recipe(str(path), overrides)
