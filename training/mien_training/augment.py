"""Random changes of training pictures, uint8 to uint8, by albumentations."""

import os
import warnings
from collections.abc import Iterator

import numpy as np

from mien_training.config.augmentation import Augmentation
from mien_training.config.recipe import Crop
from mien_training.data import Images

# Before the import: albumentations asks the network for its newest version otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A  # type: ignore[import-untyped]
import cv2


class Augmenter:
    """A pipeline built from a recipe."""

    def __init__(self, recipe: Augmentation, size: Crop) -> None:
        with warnings.catch_warnings():
            # albumentations only warns of an argument that it does not know.
            warnings.simplefilter("error")
            self._pipeline = A.Compose(list(_transforms(recipe, size)))

    def __call__(self, images: Images, seed: int) -> Images:
        """Change each of [N, H, W, 3] by itself; the same seed changes them the same way."""
        self._pipeline.set_random_seed(seed)
        changed = [self._pipeline(image=image)["image"] for image in images]
        return np.stack(changed)


def _transforms(recipe: Augmentation, size: Crop) -> Iterator[A.BasicTransform]:
    if flip := recipe.flip:
        yield A.HorizontalFlip(p=flip.probability)
    if rotation := recipe.rotation:
        yield A.Rotate(
            limit=rotation.degrees, border_mode=cv2.BORDER_REFLECT_101, p=rotation.probability
        )
    if shift := recipe.shift:
        yield A.Affine(
            translate_percent=(-shift.distance, shift.distance),
            scale=(1 - shift.scale, 1 + shift.scale),
            border_mode=cv2.BORDER_REFLECT_101,
            p=shift.probability,
        )
    if random_crop := recipe.random_crop:
        yield A.RandomResizedCrop(
            size=(size.height, size.width),
            scale=(random_crop.smallest, 1),
            ratio=(size.width / size.height,) * 2,
            p=random_crop.probability,
        )
    if colour := recipe.colour_shift:
        yield A.ColorJitter(
            brightness=colour.brightness,
            contrast=0,
            saturation=colour.saturation,
            hue=colour.hue,
            p=colour.probability,
        )
    if contrast := recipe.contrast:
        yield A.RandomBrightnessContrast(
            brightness_limit=0, contrast_limit=contrast.strength, p=contrast.probability
        )
    if noise := recipe.noise:
        yield A.GaussNoise(std_range=(0, noise.deviation), per_channel=False, p=noise.probability)
    if loss := recipe.information_loss:
        side = (loss.largest / 3, loss.largest)
        yield A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=side,
            hole_width_range=side,
            fill="random_uniform",
            p=loss.probability,
        )
