"""Augmentation, uint8 to uint8."""

import warnings

import albumentations  # type: ignore[import-untyped]
import numpy as np
import pytest

from mien_training.augment import Augmenter
from mien_training.config.augmentation import Augmentation
from mien_training.config.recipe import Crop
from mien_training.data import Images
from tests.faces import SIDE, picture

KINDS = tuple(Augmentation.model_fields)
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
    if kind != "flip":
        assert not np.array_equal(other, first)


def test_no_augmentation_leaves_pictures_as_they_are(images: Images) -> None:
    np.testing.assert_array_equal(Augmenter(Augmentation(), SIZE)(images, seed=1), images)


def test_flip_mirrors_left_and_right(images: Images) -> None:
    np.testing.assert_array_equal(always("flip")(images, seed=1), images[:, :, ::-1])


def test_noise_is_the_same_in_all_channels(images: Images) -> None:
    grey = np.full_like(images, 128)
    changed = always("noise")(grey, seed=1)
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


def test_a_wrong_argument_of_albumentations_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def misspelt(p: float) -> object:
        return albumentations.Rotate(limits=10, p=p)

    monkeypatch.setattr(albumentations, "HorizontalFlip", misspelt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UserWarning, match="limits"):
            always("flip")
