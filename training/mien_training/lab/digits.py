"""Scikit-learn's digits: 1,797 of 8×8 pixels by 43 writers (Alpaydin and Kaynak 1998)."""

import cv2
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mien_training.data import Crops, Images
from mien_training.lab.split import Split

TEST_SHARE = 1 / 3
SPLIT_SEED = 0
"""The same in all experiments, whatever their seeds."""
BRIGHTEST = 16
"""Of the values that a digit has."""


def load(side: int) -> Split:
    """As crops of `side` pixels, two thirds of each class to learn from."""
    found = load_digits()
    rows = np.arange(len(found.target))
    train, test = train_test_split(
        rows, test_size=TEST_SHARE, stratify=found.target, random_state=SPLIT_SEED
    )
    images, labels = _scaled(found.images, side), found.target.astype(np.int64)
    people = tuple(map(str, found.target_names))
    return Split(*(Crops(people, images[part], labels[part]) for part in (train, test)))


def _scaled(digits: "np.typing.NDArray[np.float64]", side: int) -> Images:
    """[N, 8, 8] of 0 to 16, to uint8 [N, side, side, 3]."""
    grey = np.round(digits * (255 / BRIGHTEST)).astype(np.uint8)
    scaled = [cv2.resize(one, (side, side), interpolation=cv2.INTER_LINEAR) for one in grey]
    return np.repeat(np.stack(scaled)[..., None], 3, axis=-1)
