"""Where the samples of an evaluation come from: pictures to embed, or vectors saved before."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mien import dataset
from mien.errors import DatasetInvalid
from mien.evaluation import pair_file, saved
from mien.evaluation.acquisition import Picture, acquire, pictures_of
from mien.evaluation.pair_file import PairFile
from mien.evaluation.roles import Folders, open_folders
from mien.evaluation.samples import Samples
from mien.model.bundle import Bundle
from mien.model.manifest import MANIFEST
from mien.model.pipeline import Pipeline
from mien.vision.faces import Detector
from mien.vision.selection import OneFace

FEWEST_PEOPLE = 2


@dataclass(frozen=True)
class Source:
    """What is to be evaluated, checked as far as that goes without embedding."""

    path: Path
    kind: Literal["folder", "vectors"]
    pairs: PairFile | None
    pictures: tuple[Picture, ...]
    """Empty for saved vectors."""
    folders: Folders = field(default_factory=dict)
    """Those that have roles; empty where nobody said who is enrolled."""

    def samples(
        self, bundle: Bundle, detector: Detector | None = None, multi_face: OneFace = "largest"
    ) -> Samples:
        """Embed the pictures with a bundle, or read the vectors that it made.

        `detector` and `multi_face` as of `Pipeline`; a picture of a dataset is of the person that
        it is filed under, who mostly is in front.

        Raises DetectorMissing, as `acquire` and `saved.read`, and DatasetInvalid if fewer than two
        people are left.
        """
        if self.kind == "vectors":
            samples = saved.read(self.path, bundle)
        else:
            pipeline = Pipeline(bundle, detector=detector, multi_face=multi_face)
            samples = acquire(pipeline, self.pictures)
        check_people(self.path, len(set(samples.people.tolist())), "with a usable picture")
        return samples


def open_source(path: Path, pairs: Path | None) -> Source:
    """A folder of people, the image folder of a pair file, or a file of saved vectors.

    Raises DatasetInvalid: it is none of these, images of the pair file are missing (all are
    listed), or there are fewer than two people.
    """
    file = None if pairs is None else pair_file.read(pairs)
    if path.suffix == saved.SUFFIX and not path.is_dir():
        return Source(path, "vectors", file, ())
    if file is not None:
        return Source(path, "folder", file, tuple(pair_file.locate(file, path)))
    people = dataset.scan(path)
    check_people(path, len(people))
    return Source(path, "folder", None, tuple(pictures_of(people)))


def open_roles(folders: Folders) -> Source:
    """Folders that say who is enrolled and searched for. Raises as `open_folders`."""
    return Source(folders["gallery"], "folder", None, open_folders(folders), folders)


def refuse_bundle(path: Path) -> None:
    """Raises DatasetInvalid if a bundle stands where the people should."""
    if (path / MANIFEST).is_file():
        raise DatasetInvalid(
            f"{path} holds a {MANIFEST}, as a bundle does, and not people; are BUNDLE and DATASET "
            "swapped?"
        )


def check_people(path: Path, count: int, which: str = "") -> None:
    """Raises DatasetInvalid if there are not at least two."""
    if count < FEWEST_PEOPLE:
        raise DatasetInvalid(
            f"{path} has {count} {'person' if count == 1 else 'people'} {which}".rstrip()
            + f"; an evaluation compares at least {FEWEST_PEOPLE}"
        )
