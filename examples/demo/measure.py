"""The demo's questions: to the server by gRPC, and to two older methods in memory."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from demo.faces import aligned
from mien.client import Client
from mien.dataset import Person, read
from mien.matching import paired
from mien.matching.decision import TargetFMR, TargetFPIR, best_of
from mien.matching.metrics import Comparisons, Vectors, eers
from mien.matching.paired import Difference
from mien.matching.resampling import Pairs
from mien.model.bundle import load
from mien.model.embedder import Embedder
from mien.model.pipeline import Pipeline
from mien.v1.decision_pb2 import AppliedDecision
from mien.v1.embedding_pb2 import VerifyResponse
from mien.v1.match_pb2 import IdentifyResponse
from mien.vision.crops import crop

CALLERS = 4
EIGENFACES = 100
STRICT = 0.01
"""The FMR at which methods are compared, beside their EER."""

Embed = Callable[[Sequence["Picture"]], Vectors]


@dataclass(frozen=True)
class Picture:
    """A picture and whose it is."""

    person: str
    path: Path


@dataclass(frozen=True)
class Pair:
    """Two pictures that were compared."""

    probe: Picture
    reference: Picture
    similarity: float

    @property
    def genuine(self) -> bool:
        return self.probe.person == self.reference.person


@dataclass(frozen=True)
class Verification:
    """Every probe against every enrolled picture, and what was decided by."""

    pairs: list[Pair]
    asked: float
    applied: AppliedDecision

    @property
    def comparisons(self) -> Comparisons:
        return split(self.pairs, [pair.similarity for pair in self.pairs])


@dataclass(frozen=True)
class Identification:
    """Every probe and every stranger against the gallery, and what was decided by."""

    rank1: float
    fnir: float
    fpir: float
    asked: float
    applied: AppliedDecision
    searches: int


def pictures(people: Sequence[Person]) -> list[Picture]:
    return [Picture(person.name, path) for person in people for path in person.pictures]


def verify(
    client: Client, probes: Sequence[Picture], references: Sequence[Picture], target_fmr: float
) -> Verification:
    """Call Verify for every probe and every reference, decided at an FMR."""

    def ask(pair: tuple[Picture, Picture]) -> VerifyResponse:
        probe, reference = pair
        a, b = probe.path.read_bytes(), reference.path.read_bytes()
        return client.verify(a, b, TargetFMR(target_fmr))

    asked = list(product(probes, references))
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(ask, asked))
    pairs = [
        Pair(*pair, answer.score.similarity) for pair, answer in zip(asked, answers, strict=True)
    ]
    return Verification(pairs, target_fmr, answers[0].applied)


def strictest_fpir(folder: Path, subjects: int, samples_per_subject: int) -> float:
    """The smallest FPIR that a bundle's calibration supports, rounded up to two decimals."""
    calibration = load(folder).calibration
    assert calibration
    curve = calibration.curve_for(samples_per_subject)
    chances = subjects * calibration.chances(samples_per_subject)
    return math.ceil(100 * best_of(curve.smallest_supported_fmr, chances)) / 100


def identify(
    client: Client,
    gallery: str,
    probes: Sequence[Picture],
    strangers: Sequence[Picture],
    target_fpir: float,
) -> Identification:
    """Call Identify for everybody, decided at an FPIR."""

    def ask(picture: Picture) -> IdentifyResponse:
        return client.identify(gallery, picture.path.read_bytes(), TargetFPIR(target_fpir))

    with ThreadPoolExecutor(CALLERS) as callers:
        mated = list(callers.map(ask, probes))
        non_mated = list(callers.map(ask, strangers))
    best = [answer.faces[0].candidates[0] for answer in mated]
    first = [found.subject_id == probe.person for found, probe in zip(best, probes, strict=True)]
    accepted = [
        any(c.accepted and c.subject_id == probe.person for c in answer.faces[0].candidates)
        for answer, probe in zip(mated, probes, strict=True)
    ]
    return Identification(
        rank1=float(np.mean(first)),
        fnir=1 - float(np.mean(accepted)),
        fpir=float(np.mean([answer.faces[0].identified for answer in non_mated])),
        asked=target_fpir,
        applied=non_mated[0].applied,
        searches=len(probes) + len(strangers),
    )


@dataclass(frozen=True)
class Change:
    """The same pairs by one method and by another; the differences have intervals over people."""

    people: int
    before: Comparisons
    after: Comparisons
    eer: Difference
    strict_fnmr: Difference
    """At an FMR of STRICT."""


def strict_fnmr(compared: Comparisons) -> float:
    """FNMR at STRICT. So few people do not support that rate: it is for comparing methods only."""
    return compared.fnmr_at_fmr(STRICT)


def change(pairs: Sequence[tuple[Picture, Picture]], before: Embed, after: Embed) -> Change:
    """How a method's rates on these pairs change with another."""
    first, second = (np.array(_similarities(pairs, embed)) for embed in (before, after))
    people, numbers = np.unique([[p.person for p in pair] for pair in pairs], return_inverse=True)
    compared = Pairs(*numbers.reshape(-1, 2).T)
    eer, strict = paired.compare_rates(first, second, compared, (eers, paired.fnmr_at(STRICT)))
    same = compared.same
    one, other = (Comparisons(rates[same], rates[~same]) for rates in (first, second))
    return Change(len(people), one, other, eer, strict)


def recompare(pairs: Sequence[Pair], embed: Embed) -> Comparisons:
    """The same pairs by another method."""
    return split(pairs, _similarities([(pair.probe, pair.reference) for pair in pairs], embed))


def _similarities(pairs: Sequence[tuple[Picture, Picture]], embed: Embed) -> list[np.float32]:
    shown = sorted({p for pair in pairs for p in pair}, key=lambda p: p.path)
    vectors = dict(zip(shown, embed(shown), strict=True))
    return [vectors[probe] @ vectors[reference] for probe, reference in pairs]


def split(pairs: Sequence[Pair], similarities: Sequence[float | np.float32]) -> Comparisons:
    genuine = np.array([pair.genuine for pair in pairs])
    values = np.array(similarities, dtype=np.float32)
    return Comparisons(values[genuine], values[~genuine])


def by_bundle(folder: Path) -> Embed:
    """A bundle's vectors, without a server."""
    pipeline = Pipeline(load(folder))
    return lambda shown: np.stack([pipeline.embed(picture.path.read_bytes()) for picture in shown])


def by_aligning_bundle(folder: Path) -> Embed:
    """The vectors of a bundle whose crops lie on the template; no detector is needed here."""
    bundle = load(folder)
    embedder, spec = Embedder.of(bundle), bundle.manifest.input

    def embed(shown: Sequence[Picture]) -> Vectors:
        squares = [aligned(read(picture.path)) for picture in shown]
        sized = [crop(square, spec.crop_height, spec.crop_width) for square in squares]
        return embedder.embed(np.stack(sized))

    return embed


def by_pixels(shown: Sequence[Picture]) -> Vectors:
    """The pictures themselves as vectors."""
    return _unit(_flat(shown))


def by_eigenfaces(train: Sequence[Picture]) -> Embed:
    """Coordinates among the principal components of the training people (Turk and Pentland 1991).

    Whitened, so that directions of light, which vary most, do not drown the others.
    """
    components = PCA(EIGENFACES, whiten=True, random_state=0).fit(_flat(train))
    return lambda shown: _unit(components.transform(_flat(shown)))


def _flat(shown: Sequence[Picture]) -> NDArray[np.float32]:
    return np.stack([read(picture.path)[:, :, 0].ravel() for picture in shown]).astype(np.float32)


def _unit(rows: NDArray[np.float32]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
