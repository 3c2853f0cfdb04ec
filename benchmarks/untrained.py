"""A bundle to time: the network that the built-in models have, with fresh weights, and pictures."""

from pathlib import Path

import cv2
import numpy as np
import torch

from mien.model.bundle import Bundle
from mien.model.manifest import InputSpec
from mien.model.sealing import Draft, seal
from mien_training.export import to_onnx
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
PICTURE_SIDE, COARSE, NOISE = 112, 8, 6.0
"""Of the JPEG pictures: smooth patterns with some noise weigh as much as aligned faces do."""


def bundle(folder: Path) -> Bundle:
    """Seal the network into a new folder."""
    torch.manual_seed(1)
    recipe = load_recipe("center", list(RECIPE))
    return seal(
        Draft(
            name="untrained",
            license="Apache-2.0",
            created="2026-01-01T00:00:00+00:00",
            input=InputSpec(crop_height=SIDE, crop_width=SIDE, alignment="none", dim=DIM),
            network=to_onnx(build(recipe), recipe.crop),
            card="# untrained\n",
        ),
        folder,
    )


def jpegs(count: int, seed: int = 0) -> list[bytes]:
    """Pictures as a caller sends them, all different."""
    dice = np.random.default_rng(seed)
    return [_jpeg(dice) for _ in range(count)]


def _jpeg(dice: np.random.Generator) -> bytes:
    coarse = dice.uniform(0, 255, (COARSE, COARSE, 3)).astype(np.float32)
    size = (PICTURE_SIDE, PICTURE_SIDE)
    smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(smooth + dice.normal(0, NOISE, smooth.shape), 0, 255).astype(np.uint8)
    done, content = cv2.imencode(".jpg", noisy)
    assert done
    return bytes(content.tobytes())
