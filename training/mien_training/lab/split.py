"""Crops to learn from, and others to test on."""

from typing import NamedTuple

from mien_training.data import Crops


class Split(NamedTuple):
    """Of digits both have the same classes; of faces no person is in both."""

    train: Crops
    test: Crops
