"""Pictures to vectors, with what was measured of each face; by the one path that serving takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mien.errors import InvalidArgument
from mien.evaluation.acquisition import Picture
from mien.evaluation.samples import Failure, Samples
from mien.model.bundle import Bundle
from mien.model.embedder import BATCH
from mien.model.pipeline import Pipeline
from mien.vision.faces import Detector
from mien.vision.quality import Quality


@dataclass(frozen=True)
class Looked:
    """`qualities` is of each sample, None where the picture was taken for a crop."""

    samples: Samples
    qualities: tuple[Quality | None, ...]

    def measured(self, name: str) -> npt.NDArray[np.float64]:
        """One measure of `Quality` of each sample, without its sign."""
        return np.abs([getattr(quality, name) for quality in self.qualities]).astype(np.float64)


def look(bundle: Bundle, pictures: Sequence[Picture], detector: Detector, threads: int) -> Looked:
    """Embed all; of several faces the largest. What is refused is a failure of the samples."""
    pipeline = Pipeline(bundle, threads, detector=detector, multi_face="largest")
    taken: list[tuple[Picture, npt.NDArray[np.float32], Quality | None]] = []
    failures: list[Failure] = []
    for start in tqdm(range(0, len(pictures), BATCH), desc="embed", disable=None):
        batch = pictures[start : start + BATCH]
        outcomes = pipeline.faces_each([picture.path.read_bytes() for picture in batch])
        for picture, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, InvalidArgument):
                failures.append(Failure(picture.person, picture.name, outcome.reason))
            else:
                face = outcome.embedded[0]
                taken.append((picture, face.vector, face.quality))
    samples = Samples(
        vectors=np.stack([vector for _, vector, _ in taken]),
        people=np.array([picture.person for picture, _, _ in taken]),
        names=np.array([picture.name for picture, _, _ in taken]),
        failures=tuple(failures),
    )
    return Looked(samples, tuple(quality for _, _, quality in taken))


def linked(people: Sequence[Path], folder: Path) -> Path:
    """A folder of some of the people of another, by links."""
    folder.mkdir()
    for person in people:
        (folder / person.name).symlink_to(person.resolve(), target_is_directory=True)
    return folder
