"""A run to a bundle: the network to ONNX, read back, compared, calibrated, sealed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mien.dataset import digest
from mien.errors import BundleInvalid, DatasetInvalid, InvalidRequest
from mien.files import staged
from mien.matching.calibration import calibrate as measure
from mien.matching.curve import Curve
from mien.matching.metrics import Comparisons, Vectors, cross_compare
from mien.model import sealing
from mien.model.bundle import Bundle, load
from mien.model.card import Card, supported
from mien.model.cost import ORIGIN, Cost
from mien.model.embedder import Embedder
from mien.model.golden import golden_crops
from mien.model.manifest import InputSpec
from mien.model.proof import check_batches
from mien.model.sealing import Draft
from mien_training import data as folders
from mien_training.data import Crops, Images
from mien_training.embed import embed
from mien_training.graph import rounded, stored_in_half, to_onnx
from mien_training.quantise import Quantised, quantise
from mien_training.run import Run, load_run

UNSTATED = "unstated"
HALF = "stored in float16, computed with in float32"
PARITY = 1e-5
"""Largest difference between a component of torch's vector and of the bundle's."""


@dataclass(frozen=True)
class Label:
    """What people say of a bundle; it changes no fingerprint."""

    name: str
    license: str
    """Of the weights."""

    def of(self, run: Run) -> "Label":
        """With what the run started from, if the licence is not stated: it may bind this one."""
        if self.license != UNSTATED or not run.source:
            return self
        return replace(self, license=f"{UNSTATED}; started from {run.source}")


@dataclass(frozen=True)
class Form:
    """How the network is sealed; each of these gives another fingerprint."""

    flip: bool | None = None
    """Embed the crop and its mirror image; None: as the recipe has it. Training needs neither."""
    half: bool = False
    """Store matrices and kernels in 16 bits; they are computed with in 32."""
    int8: bool = False
    """Quantise it."""

    def __post_init__(self) -> None:
        if self.half and self.int8:
            raise InvalidRequest("half and int8 exclude each other: int8 is stored in 8 bits")


AS_LEARNED = Form()


@dataclass(frozen=True)
class Export:
    """A sealed bundle and how far its vectors are from those of the network in torch.

    Of an int8 bundle, that is the float32 network which was quantised; `costs` say what this
    changed.
    """

    bundle: Bundle
    max_difference: float
    crops_compared: int
    half_difference: float | None
    """Of the vectors of a network stored in 16 bits from those of the one that was learned, at
    most; None for any other."""
    costs: tuple[Cost, ...] = ()


def export(
    folder: Path,
    out: Path,
    label: Label,
    data: Path | None = None,
    form: Form = AS_LEARNED,
) -> Export:
    """Seal the run in `folder` as the new bundle `out`, calibrated on its people of validation.

    `data` is where the run's folder of people is now, if it has moved. An int8 network is quantised
    on pictures of training; model card, manifest and every report say what that costs.

    Raises OutputExists, RunInvalid (no run), DatasetInvalid (the pictures are not those of the
    run) and BundleInvalid (the bundle's vectors are not those of the network, or not the same
    alone and in a batch).
    """
    learned = _flipped(load_run(folder), form.flip)
    people = _people(learned, data or learned.data)
    held_out = people.of(learned.validation_people)
    run = replace(learned, network=rounded(learned.network)) if form.half else learned
    draft = _draft(run, label.of(run), form)
    with staged(out) as staging:
        aside = staging.with_name(f"{staging.name}-float32")
        bundle = sealing.seal(draft, aside if form.int8 else staging)
        vectors, difference = _compared(bundle, run, held_out)
        in_float32 = vectors if form.int8 else None
        if form.int8:
            quantised = quantise(draft.network, people.of(run.train_people).images)
            bundle = sealing.seal(_int8(draft, quantised), staging)
            vectors = Embedder.of(bundle).embed(held_out.images)
        check_batches(Embedder.of(bundle))
        costs = _calibrate(bundle, run, held_out, vectors, in_float32)
    sealed = load(out)
    crops = _crops(sealed, held_out)
    lost = None
    if form.half:
        lost = _difference(Embedder.of(sealed).embed(crops), embed(learned.network, crops))
    return Export(sealed, difference, len(crops), lost, costs)


def _flipped(run: Run, flip: bool | None) -> Run:
    """The run as if its recipe had said so."""
    if flip is None:
        return run
    run.network.flip = flip
    return replace(run, recipe=run.recipe.model_copy(update={"flip_embedding": flip}))


def _draft(run: Run, label: Label, form: Form) -> Draft:
    crop = run.recipe.crop
    network = to_onnx(run.network, crop)
    return Draft(
        name=label.name,
        license=label.license,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        input=InputSpec(
            crop_height=crop.height,
            crop_width=crop.width,
            alignment=crop.alignment,
            dim=run.recipe.dimension,
        ),
        network=stored_in_half(network, run.network) if form.half else network,
        card=_card(run, label).text(),
        provenance={
            "mien": run.version,
            "data_sha256": run.data_digest,
            "train_people": str(len(run.train_people)),
            "recipe": run.recipe.model_dump_json(),
            **({"weights": HALF} if form.half else {}),
            **({"started_from": run.source} if run.source else {}),
        },
    )


def _int8(draft: Draft, quantised: Quantised) -> Draft:
    """The same bundle of a quantised network, which tells of the float32 one it came from."""
    origin = {
        ORIGIN: draft.fingerprint,
        "int8_crops": str(quantised.crops),
        "int8_layers": f"{quantised.layers} of {quantised.layers_in_all}",
    }
    return replace(
        draft,
        network=quantised.network,
        precision="int8",
        provenance=draft.provenance | origin,
    )


def _people(run: Run, data: Path) -> Crops:
    loaded = folders.load(data, run.recipe.crop)
    if loaded.digest != run.data_digest:
        raise DatasetInvalid(
            f"{data} is not what the run learned from: its pictures have changed; "
            "name the unchanged folder with --data"
        )
    return loaded.crops


def _compared(bundle: Bundle, run: Run, held_out: Crops) -> tuple[Vectors, float]:
    """The bundle's vectors of the people held out, and how far they are from torch's at most."""
    crops = _crops(bundle, held_out)
    vectors = Embedder.of(bundle).embed(crops)
    difference = _difference(vectors, embed(run.network, crops))
    if not difference <= PARITY:
        raise BundleInvalid(
            f"the bundle's vectors differ from the network's by {difference:.2g}, more than "
            f"{PARITY:g}; do not use it"
        )
    return vectors[len(crops) - len(held_out.images) :], difference


def _crops(bundle: Bundle, held_out: Crops) -> Images:
    """What is compared: crops that show nobody, and those of the people held out."""
    spec = bundle.manifest.input
    return np.concatenate([golden_crops(spec.crop_height, spec.crop_width), held_out.images])


def _difference(vectors: Vectors, others: Vectors) -> float:
    """Of two components, at most."""
    return float(np.abs(vectors - others).max())


def _calibrate(
    bundle: Bundle, run: Run, held_out: Crops, vectors: Vectors, in_float32: Vectors | None
) -> tuple[Cost, ...]:
    """Calibrate on the people held out, if there are; returns what int8 costs on them."""
    if len(held_out.people) < 2:
        return ()
    manifest = bundle.manifest
    data = digest(held_out.labels.tolist(), (image.tobytes() for image in held_out.images))
    calibration = measure(vectors, held_out.labels, manifest.fingerprint, dataset_digest=data)
    costs: tuple[Cost, ...] = ()
    if in_float32 is not None:
        before, after = (cross_compare(v, held_out.labels) for v in (in_float32, vectors))
        costs = (
            Cost(None, before.eer(), after.eer()),
            *_fnmr_costs(before, after, calibration.pictures),
        )
    card = replace(
        _card(run, Label(manifest.name, manifest.license)), calibration=calibration, costs=costs
    )
    sealing.calibrate(bundle, calibration, card.text(), costs)
    return costs


def _fnmr_costs(before: Comparisons, after: Comparisons, curve: Curve) -> Iterator[Cost]:
    for rate in supported(curve):
        yield Cost(rate, before.fnmr_at_fmr(rate), after.fnmr_at_fmr(rate))


def _card(run: Run, label: Label) -> Card:
    return Card(
        name=label.name,
        license=label.license,
        data=(
            f"Learned from {len(run.train_people)} people (data SHA-256 {run.data_digest[:12]}…), "
            f"with mien {run.version}, network {run.recipe.network.kind}.",
            *([f"It started from the weights of {run.source}."] if run.source else []),
        ),
    )
