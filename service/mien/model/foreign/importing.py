"""`mien bundle import`: a foreign network to a sealed bundle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from mien.dataset import Person
from mien.errors import InvalidRequest
from mien.files import staged
from mien.matching.calibration import Calibration
from mien.matching.calibration import calibrate as measure
from mien.model import sealing
from mien.model.bundle import Bundle, load
from mien.model.card import Card
from mien.model.embedder import Embedder
from mien.model.foreign import network as networks
from mien.model.foreign.network import Foreign
from mien.model.foreign.people import Unusable, embed, people_of, some
from mien.model.foreign.preprocessing import Preprocessing
from mien.model.foreign.stated import Stated
from mien.model.foreign.trial import Tried, attempt, choose, is_grey
from mien.model.foreign.wrapping import wrap
from mien.model.manifest import InputSpec, digest
from mien.model.pipeline import Pipeline
from mien.model.proof import check_batches
from mien.model.sealing import Draft
from mien.vision.cropper import Cropper
from mien.vision.crops import Alignment
from mien.vision.yunet import detector_for

UNSEEN = (
    "people of a folder that its importer named, taken for people whom the network never learned "
    "from: mien did not train it and cannot check"
)


FLATTERED = (
    "The preprocessing was chosen on some of the pictures that the rates were measured on, which "
    "flatters them a little."
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
    detector_model: Path | None = None
    """The face detector's file, to find faces in the pictures of people; None: the one found."""


def import_network(
    order: Order,
    out: Path,
    tell: Callable[[Sequence[Tried]], None] = lambda tried: None,
    tell_unusable: Callable[[Sequence[Unusable]], None] = lambda unusable: None,
) -> Bundle:
    """Seal a foreign network as the new bundle `out`, calibrated if there is a folder of people.

    `tell` is given the table of what was tried, also if that proves nothing; `tell_unusable` the
    pictures that were left out of the calibration.

    Raises OutputExists; InvalidRequest, what is left open and not proved by the folder;
    BundleInvalid, the network cannot be wrapped; DatasetInvalid; DetectorMissing, if there are
    people.
    """
    with staged(out) as staging:
        foreign = networks.read(order.network, order.output)
        crop_size = order.stated.crop(foreign)
        people = people_of(order.people)
        detector = detector_for(order.alignment if people else "none", order.detector_model)
        cropper = Cropper(*crop_size, order.alignment, detector)
        way, tried = _way(order, foreign, cropper, people, tell)
        bundle = sealing.seal(_draft(order, foreign, way, crop_size, tried), staging)
        check_batches(Embedder.of(bundle))
        if people:
            embedded = embed(Pipeline(bundle, detector=detector), people)
            tell_unusable(embedded.unusable)
            fingerprint = bundle.manifest.fingerprint
            calibration = measure(
                embedded.vectors,
                embedded.people,
                fingerprint,
                dataset_digest=embedded.dataset_digest,
            )
            card = _card(order, way, tried, calibration, embedded.left_out())
            sealing.calibrate(bundle, calibration, card.text())
    return load(out)


def _way(
    order: Order,
    foreign: Foreign,
    cropper: Cropper,
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
    crops, labels = some(people, cropper)
    tried = attempt(foreign, ways, order.flip, crops, labels)
    tell(tried)
    return choose(tried, grey=is_grey(crops)), tried


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
    order: Order,
    way: Preprocessing,
    tried: Sequence[Tried],
    calibration: Calibration | None,
    left_out: str | None = None,
) -> Card:
    """`left_out` is a sentence about pictures of the folder that gave no vector."""
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
        notes=[
            *([FLATTERED] if tried else []),
            *([f"Of the folder that it was measured on, {left_out}"] if left_out else []),
        ],
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
