"""`mien bundle import`: a foreign network to a sealed bundle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mien.dataset import Person, read, scan
from mien.errors import DatasetInvalid, InvalidRequest
from mien.files import staged
from mien.matching.calibration import Calibration
from mien.matching.calibration import calibrate as measure
from mien.model import sealing
from mien.model.bundle import Bundle, load
from mien.model.card import Card
from mien.model.embedder import BATCH, Embedder
from mien.model.foreign import network as networks
from mien.model.foreign.network import Foreign
from mien.model.foreign.preprocessing import Preprocessing
from mien.model.foreign.stated import Stated
from mien.model.foreign.trial import Crops, People, Tried, attempt, choose
from mien.model.foreign.wrapping import wrap
from mien.model.manifest import InputSpec, digest
from mien.model.proof import check_batches
from mien.model.sealing import Draft
from mien.vision.crops import Alignment, crop

MOST_PEOPLE = 100
MOST_PICTURES = 6
"""On so many the ways are tried, some twenty of them; the calibration takes the whole folder."""

UNSEEN = (
    "people of a folder that its importer named, taken for people whom the network never learned "
    "from: mien did not train it and cannot check"
)


@dataclass(frozen=True)
class Order:
    """What to import and what is known of it."""

    network: Path
    name: str
    license: str
    stated: Stated
    alignment: Alignment = "none"
    output: str | None = None
    flip: bool = False
    people: Path | None = None
    """A folder of people, to try on what is not known and to calibrate on."""


def import_network(
    order: Order, out: Path, tell: Callable[[Sequence[Tried]], None] = lambda tried: None
) -> Bundle:
    """Seal a foreign network as the new bundle `out`, calibrated if there is a folder of people.

    `tell` is given the table of what was tried, also if that proves nothing.

    Raises OutputExists; InvalidRequest, what is left open and not proved by the folder;
    BundleInvalid, the network cannot be wrapped; DatasetInvalid.
    """
    with staged(out) as staging:
        foreign = networks.read(order.network, order.output)
        crop_size = order.stated.crop(foreign)
        people = _people(order.people)
        way, tried = _way(order, foreign, crop_size, people, tell)
        bundle = sealing.seal(_draft(order, foreign, way, crop_size, tried), staging)
        embedder = Embedder.of(bundle)
        check_batches(embedder)
        if people:
            calibration = _calibrated(embedder, people, bundle)
            card = _card(order, way, tried, calibration)
            sealing.calibrate(bundle, calibration, card.text())
    return load(out)


def _way(
    order: Order,
    foreign: Foreign,
    crop_size: tuple[int, int],
    people: Sequence[Person],
    tell: Callable[[Sequence[Tried]], None],
) -> tuple[Preprocessing, Sequence[Tried]]:
    """The one way to prepare crops, and what was tried to find it."""
    ways = list(order.stated.ways(foreign))
    if len(ways) == 1:
        return ways[0], ()
    if not people:
        raise InvalidRequest(
            f"say {', '.join(order.stated.unknown(foreign))}: how the network was fed is not in "
            "its file; or name a folder of people with --people, on which each way is tried"
        )
    tried = attempt(foreign, ways, order.flip, *_some(people, *crop_size))
    tell(tried)
    return choose(tried), tried


def _people(folder: Path | None) -> list[Person]:
    people = scan(folder) if folder else []
    if folder and len(people) < 2:
        raise DatasetInvalid(f"{folder} has 1 person; error rates need two people at least")
    if folder and all(len(each.pictures) < 2 for each in people):
        raise DatasetInvalid(
            f"{folder} has {len(people)} people, none with a second picture; error rates need two "
            "pictures of one person at least"
        )
    return people


def _some(people: Sequence[Person], height: int, width: int) -> tuple[Crops, People]:
    """Some crops of some people who have two pictures or more, always the same ones."""
    usable = [person for person in people if len(person.pictures) >= 2]
    drawn = np.random.default_rng(0).permutation(len(usable))[:MOST_PEOPLE]
    pictures = [
        (label, path)
        for label in sorted(drawn.tolist())
        for path in usable[label].pictures[:MOST_PICTURES]
    ]
    crops = [crop(read(path), height, width) for _, path in pictures]
    labels = np.array([label for label, _ in pictures], dtype=np.int64)
    return np.array(crops, np.uint8).reshape(-1, height, width, 3), labels


def _calibrated(embedder: Embedder, people: Sequence[Person], bundle: Bundle) -> Calibration:
    """Over every picture of the folder, a batch of crops in memory at a time."""
    spec = embedder.spec
    pictures = [(label, path) for label, each in enumerate(people) for path in each.pictures]
    vectors = [
        embedder.embed(
            np.stack(
                [
                    crop(read(path), spec.crop_height, spec.crop_width)
                    for _, path in pictures[start : start + BATCH]
                ]
            )
        )
        for start in range(0, len(pictures), BATCH)
    ]
    labels = np.array([label for label, _ in pictures], dtype=np.int64)
    return measure(np.concatenate(vectors), labels, bundle.manifest.fingerprint)


def _draft(
    order: Order,
    foreign: Foreign,
    way: Preprocessing,
    size: tuple[int, int],
    tried: Sequence[Tried],
) -> Draft:
    network, dim = wrap(foreign, way, *size, order.flip)
    return Draft(
        name=order.name,
        license=order.license,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        input=InputSpec(
            crop_height=size[0], crop_width=size[1], alignment=order.alignment, dim=dim
        ),
        network=network,
        card=_card(order, way, tried, None).text(),
        precision=foreign.precision,
        provenance={
            "mien": version("mien"),
            "imported_from": order.network.name,
            "network_sha256": digest(order.network.read_bytes()),
            "output": foreign.gives,
            "preprocessing": str(way),
            "preprocessing_known_by": f"trial of {len(tried)} ways" if tried else "statement",
            "flip": "yes" if order.flip else "no",
        },
    )


def _card(
    order: Order, way: Preprocessing, tried: Sequence[Tried], calibration: Calibration | None
) -> Card:
    mirrored = "; the outputs for a crop and its mirror image are added" if order.flip else ""
    source = "found by trial" if tried else "as its importer stated"
    return Card(
        name=order.name,
        license=order.license,
        data=[
            f"Imported from {order.network.name} (SHA-256 "
            f"{digest(order.network.read_bytes())[:12]}…). What it learned from is known to its "
            "makers only.",
            f"Preprocessing, {source}: {way}{mirrored}.",
            *([markdown(tried)] if tried else []),
        ],
        calibration=calibration,
        measured_on=UNSEEN,
        unmeasured="Not measured: it was imported without a folder of people (--people).",
        notes=(
            [
                "The preprocessing was chosen on some of the pictures that the rates were measured "
                "on, which flatters them a little."
            ]
            if tried
            else []
        ),
    )


def markdown(tried: Sequence[Tried]) -> str:
    """The table of what was tried, the best first."""
    rows = [
        f"| {each.way.layout} | {each.way.channels} | {each.way.scale} "
        f"| {'–' if each.eer is None else f'{each.eer:.2%}'} | {each.verdict} |"
        for each in tried
    ]
    header = ["| layout | channels | scale | EER | |", "|---|---|---|---|---|"]
    return "\n".join([*header, *rows])
