"""What nobody said about a foreign network, found out on a labelled folder, or not at all.

Each way to prepare crops that is left open is tried. The one with the lowest equal error rate is
taken only if it is clearly better: in at least CLEARLY of HALVES random halves of the people, each
other one must have a higher rate. Halves drawn without replacement vary as much as a bootstrap of
all people (McCarthy 1969, "Pseudo-replication: half samples"), and nobody is compared with
himself. Two ways that differ in the scale only and give this network the same vectors, but for a
cosine of ALIKE, need not be told apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mien.errors import BundleInvalid, DatasetInvalid, InvalidRequest
from mien.matching.metrics import Vectors, cross_compare
from mien.model.embedder import Embedder
from mien.model.foreign.network import Foreign
from mien.model.foreign.preprocessing import Preprocessing
from mien.model.foreign.wrapping import wrap
from mien.model.golden import check_unit
from mien.model.manifest import InputSpec

HALVES = 200
CLEARLY = 0.95
ALIKE = 0.999
"""Mean cosine between the vectors of the same picture."""
FEWEST_PEOPLE = 10
"""With two or more pictures each; halves of fewer are a handful and prove nothing."""
SEED = 0

Crops = npt.NDArray[np.uint8]
People = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tried:
    """One way, and how well the network tells people apart with it."""

    way: Preprocessing
    eer: float | None = None
    """None if the network does not run so; `problem` says why."""
    problem: str = ""
    worse_in: float | None = None
    """Share of the halves in which it has a higher rate than the best; None for the best."""
    alike: bool = False
    """It gives the vectors of the best."""

    @property
    def verdict(self) -> str:
        """In words, for a table."""
        if self.eer is None:
            return self.problem
        if self.worse_in is None:
            return "the best"
        if self.alike:
            return "gives the vectors of the best"
        return f"worse in {self.worse_in:.0%} of the halves"


def attempt(
    foreign: Foreign,
    ways: Iterable[Preprocessing],
    flip: bool,
    crops: Crops,
    people: People,
) -> list[Tried]:
    """Try each way on crops uint8 [N, H, W, 3] of `people` [N]; the best first.

    Raises DatasetInvalid: too few people. BundleInvalid: the network runs in no way.
    """
    count = len(np.unique(people))
    if count < FEWEST_PEOPLE:
        raise DatasetInvalid(
            f"{count} people with two or more pictures are too few to prove anything; add some, "
            f"to {FEWEST_PEOPLE} at least, or give the options"
        )
    runs = [_run(foreign, way, flip, crops, people) for way in ways]
    usable = [(tried, vectors) for tried, vectors in runs if vectors is not None]
    if not usable:
        raise BundleInvalid(f"the network runs in no way that was tried: {runs[0][0].problem}")
    best, vectors = min(usable, key=lambda each: each[0].eer or 0.0)
    halves = list(_halves(people))
    rates = _rates(vectors, people, halves)
    others = [
        replace(
            tried,
            worse_in=float(np.mean(_rates(theirs, people, halves) > rates)),
            alike=_alike(best.way, vectors, tried.way, theirs),
        )
        for tried, theirs in usable
        if tried is not best
    ]
    failed = [tried for tried, vectors in runs if vectors is None]
    return [best, *sorted(others, key=lambda tried: tried.eer or 0.0), *failed]


def is_grey(crops: Crops) -> bool:
    """Whether red and blue are the same everywhere, so that their order makes no difference."""
    return np.array_equal(crops[..., 0], crops[..., 2])


def choose(tried: Sequence[Tried], *, grey: bool = False) -> Preprocessing:
    """The best way, if it is clearly better than every other that is not alike.

    `grey`: it was tried on pictures that are (`is_grey`), so that orders of channels are all alike
    and none is proved.

    Raises InvalidRequest, naming the options that would tell it from another.
    """
    best, *others = tried
    if grey and any(other.way.channels != best.way.channels for other in others):
        raise InvalidRequest(
            "the pictures of the folder are grey and do not tell rgb from bgr, which give the same "
            "vectors; say it with --channels, or name a folder of colour pictures"
        )
    for other in others:
        if other.worse_in is not None and other.worse_in < CLEARLY and not other.alike:
            raise InvalidRequest(
                f"the folder does not tell {best.way} (EER {best.eer:.2%}) from {other.way} (EER "
                f"{other.eer:.2%}): the second is worse in {other.worse_in:.0%} of the halves, not "
                f"in {CLEARLY:.0%}; say it with {' and '.join(_differences(best.way, other.way))}, "
                "or name a folder of more people"
            )
    return best.way


def _differences(one: Preprocessing, other: Preprocessing) -> list[str]:
    """The options that differ."""
    ours, theirs = vars(one), vars(other)
    return [f"--{name}" for name in ours if ours[name] != theirs[name]]


def _run(
    foreign: Foreign, way: Preprocessing, flip: bool, crops: Crops, people: People
) -> tuple[Tried, Vectors | None]:
    height, width = crops.shape[1:3]
    try:
        network, dim = wrap(foreign, way, height, width, flip)
        spec = InputSpec(crop_height=height, crop_width=width, alignment="none", dim=dim)
        vectors = Embedder(network, spec).embed(crops)
        check_unit(vectors, "a vector")
    except BundleInvalid as error:
        return Tried(way, problem=str(error)), None
    return Tried(way, cross_compare(vectors, people).eer()), vectors


def _halves(people: People) -> Iterator[npt.NDArray[np.bool_]]:
    """Which pictures [N] are of a random half of the people, HALVES times."""
    everybody = np.unique(people)
    random = np.random.default_rng(SEED)
    for _ in range(HALVES):
        yield np.isin(people, random.permutation(everybody)[: len(everybody) // 2])


def _rates(
    vectors: Vectors, people: People, halves: Sequence[npt.NDArray[np.bool_]]
) -> npt.NDArray[np.float64]:
    """The equal error rate in each half."""
    return np.array([cross_compare(vectors[half], people[half]).eer() for half in halves])


def _alike(way: Preprocessing, ours: Vectors, other: Preprocessing, theirs: Vectors) -> bool:
    """They differ in the scale only, and that makes no difference."""
    same_order = (way.layout, way.channels) == (other.layout, other.channels)
    return same_order and bool(np.mean(np.sum(ours * theirs, axis=1)) >= ALIKE)
