"""Augmentation, uint8 to uint8."""

import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import get_args

import albumentations  # type: ignore[import-untyped]
import numpy as np
import pytest
from pydantic import ValidationError

from mien_training.augment import Augmenter
from mien_training.config.augmentation import Augmentation
from mien_training.config.recipe import Crop
from mien_training.data import Images
from tests.faces import SIDE, picture

KINDS = tuple(Augmentation.model_fields)
TINY = 1e-9
"""How far from an end that a range leaves out."""
SIZE = Crop(height=SIDE, width=SIDE - 8)


@pytest.fixture
def images() -> Images:
    return np.stack([picture(person, 0)[:, 8:] for person in range(6)])


def always(kind: str) -> Augmenter:
    return Augmenter(Augmentation.model_validate({kind: {"probability": 1.0}}), SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_pictures_and_keeps_their_type_and_size(
    kind: str, images: Images
) -> None:
    before = images.copy()
    changed = always(kind)(images, seed=1)
    assert changed.dtype == np.uint8
    assert changed.shape == images.shape
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_changes_pictures_the_same_way(kind: str, images: Images) -> None:
    augmenter = always(kind)
    first = augmenter(images, seed=7)
    other = augmenter(images, seed=8)
    np.testing.assert_array_equal(augmenter(images, seed=7), first)
    if kind not in ("flip", "greyscale"):
        assert not np.array_equal(other, first)


def test_no_augmentation_leaves_pictures_as_they_are(images: Images) -> None:
    np.testing.assert_array_equal(Augmenter(Augmentation(), SIZE)(images, seed=1), images)


def test_flip_mirrors_left_and_right(images: Images) -> None:
    np.testing.assert_array_equal(always("flip")(images, seed=1), images[:, :, ::-1])


def test_noise_is_the_same_in_all_channels(images: Images) -> None:
    grey = np.full_like(images, 128)
    changed = always("noise")(grey, seed=1)
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


def test_greyscale_leaves_three_equal_channels(images: Images) -> None:
    changed = always("greyscale")(images, seed=1)
    np.testing.assert_array_equal(changed[..., 0], changed[..., 1])
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


@pytest.mark.parametrize("kind", ["blur", "down_scaling"])
def test_what_is_seen_less_sharply_has_less_contrast_between_neighbours(
    kind: str, images: Images
) -> None:
    def edges(pictures: Images) -> float:
        return float(np.abs(np.diff(pictures.astype(np.float64), axis=2)).mean())

    assert edges(always(kind)(images, seed=1)) < edges(images)


def test_jpeg_of_less_quality_is_farther_from_the_picture(images: Images) -> None:
    def error(lowest: int) -> float:
        recipe = Augmentation.model_validate({"jpeg": {"probability": 1.0, "lowest": lowest}})
        changed = Augmenter(recipe, SIZE)(images, seed=1)
        return float(np.abs(changed.astype(np.float64) - images).mean())

    assert error(95) < error(5) < 64


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("blur", {"deviation": 0}),
        ("blur", {"sigma": 1.0}),
        ("jpeg", {"lowest": 0}),
        ("jpeg", {"lowest": 96}),
        ("jpeg", {"lowest": 50.5}),
        ("down_scaling", {"smallest": 0}),
        ("down_scaling", {"smallest": 1e-6}),
        ("down_scaling", {"smallest": 0.062}),
        ("greyscale", {"probability": 1.5}),
        ("grayscale", {}),
    ],
    ids=str,
)
def test_a_wrong_value_of_a_recipe_is_an_error(kind: str, wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Augmentation.model_validate({kind: wrong})


def ranges() -> Iterator[tuple[str, str, float]]:
    """Kind, key and value, for both ends of every range that a recipe may take a number from."""
    for kind, field in Augmentation.model_fields.items():
        for key, about in get_args(field.annotation)[0].model_fields.items():
            ends = {name: end for limit in about.metadata for name, end in asdict(limit).items()}
            least = ends["ge"] if "ge" in ends else ends["gt"] + TINY
            most = ends["le"] if "le" in ends else ends["lt"] - TINY
            if key != "probability":
                yield kind, key, least
                yield kind, key, most


@pytest.mark.parametrize("size", [(16, 16), (16, 40), (112, 112)], ids=str)
@pytest.mark.parametrize(("kind", "key", "end"), list(ranges()))
def test_the_ends_of_a_range_work(kind: str, key: str, end: float, size: tuple[int, int]) -> None:
    height, width = size
    recipe = Augmentation.model_validate({kind: {"probability": 1.0, key: end}})
    noise = np.random.default_rng(1).integers(256, size=(8, *size, 3), dtype=np.uint8)
    augmenter = Augmenter(recipe, Crop(height=height, width=width))
    for seed in range(3):
        changed = augmenter(noise, seed)
        assert changed.shape == noise.shape
        assert changed.dtype == np.uint8


def test_every_kind_with_a_range_has_its_ends_tried() -> None:
    assert {kind for kind, _, _ in ranges()} == set(KINDS) - {"flip", "greyscale"}


def test_the_least_side_leaves_a_pixel_of_the_smallest_crop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A draw hardly ever is the least itself."""
    monkeypatch.setattr(
        albumentations.Downscale, "get_params", lambda self: {"scale": self.scale_range[0]}
    )
    least = next(end for kind, _, end in ranges() if kind == "down_scaling")
    recipe = Augmentation.model_validate({"down_scaling": {"probability": 1.0, "smallest": least}})
    noise = np.random.default_rng(1).integers(256, size=(1, 16, 16, 3), dtype=np.uint8)
    changed = Augmenter(recipe, Crop(height=16, width=16))(noise, seed=1)
    assert (changed == changed[0, 0, 0]).all()
    np.testing.assert_allclose(changed[0, 0, 0], noise.mean(axis=(0, 1, 2)), atol=0.5)


def test_a_wrong_argument_of_albumentations_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def misspelt(p: float) -> object:
        return albumentations.Rotate(limits=10, p=p)

    monkeypatch.setattr(albumentations, "HorizontalFlip", misspelt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UserWarning, match="limits"):
            always("flip")
