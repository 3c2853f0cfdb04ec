"""A bundle to time: a network as the built-in models have, with fresh weights."""

from pathlib import Path

import torch

from mien.model.bundle import Bundle
from mien.model.manifest import InputSpec
from mien.model.sealing import Draft, seal
from mien.vision.crops import Alignment
from mien_training.graph import to_onnx
from mien_training.loading import load_recipe
from mien_training.networks import build

SIDE, DIM = 64, 256
RECIPE = (
    f"crop={{height={SIDE}, width={SIDE}}}",
    f"dimension={DIM}",
    "flip_embedding=false",
    'network={kind="residual", channels=[32, 64, 128, 256], blocks=[1, 2, 2, 1]}',
)
"""A residual network of 250 crops a second on two cores."""


def bundle(folder: str, alignment: Alignment = "none") -> Bundle:
    """Seal the network into a new folder; with an alignment, for whole photographs."""
    torch.manual_seed(1)
    recipe = load_recipe("center", list(RECIPE))
    return seal(
        Draft(
            name="untrained",
            license="Apache-2.0",
            created="2026-01-01T00:00:00+00:00",
            input=InputSpec(crop_height=SIDE, crop_width=SIDE, alignment=alignment, dim=DIM),
            network=to_onnx(build(recipe), recipe.crop),
            card="# untrained\n",
        ),
        Path(folder),
    )
