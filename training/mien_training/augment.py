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

LEAST_BLUR = 0.1
"""Pixels of deviation; 0.1 in SimCLR (Chen et al. 2020)."""
BEST_JPEG = 95
"""Quality; libjpeg's manual advises against more."""


class Augmenter:
    """A pipeline built from a recipe."""

    def __init__(self, recipe: Augmentation, size: Crop) -> None:
        with warnings.catch_warnings():
            # albumentations only warns of an argument that it does not know.
            warnings.simplefilter("error")
            self._pipeline = A.Compose(
                [*_geometry(recipe, size), *_light(recipe), *_camera(recipe)]
            )

    def __call__(self, images: Images, seed: int) -> Images:
        """Change each of [N, H, W, 3] by itself; the same seed changes them the same way."""
        self._pipeline.set_random_seed(seed)
        changed = [self._pipeline(image=image)["image"] for image in images]
        return np.stack(changed)


def _geometry(recipe: Augmentation, size: Crop) -> Iterator[A.BasicTransform]:
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


def _light(recipe: Augmentation) -> Iterator[A.BasicTransform]:
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
    if greyscale := recipe.greyscale:
        yield A.ToGray(p=greyscale.probability)


def _camera(recipe: Augmentation) -> Iterator[A.BasicTransform]:
    if blur := recipe.blur:
        # A limit of 0 lets the deviation decide about the size of the kernel.
        yield A.GaussianBlur(
            sigma_limit=(LEAST_BLUR, blur.deviation), blur_limit=0, p=blur.probability
        )
    if down_scaling := recipe.down_scaling:
        yield A.Downscale(
            scale_range=(down_scaling.smallest, 1),
            interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR},
            p=down_scaling.probability,
        )
    if noise := recipe.noise:
        yield A.GaussNoise(std_range=(0, noise.deviation), per_channel=False, p=noise.probability)
    if jpeg := recipe.jpeg:
        yield A.ImageCompression(
            compression_type="jpeg", quality_range=(jpeg.lowest, BEST_JPEG), p=jpeg.probability
        )
    if loss := recipe.information_loss:
        side = (loss.largest / 3, loss.largest)
        yield A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=side,
            hole_width_range=side,
            fill="random_uniform",
            p=loss.probability,
        )
