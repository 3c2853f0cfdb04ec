"""A run to a bundle: the network to ONNX, read back, compared, calibrated, sealed."""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from mien.dataset import digest
from mien.errors import BundleInvalid, DatasetInvalid
from mien.files import staged
from mien.matching.calibration import calibrate as measure
from mien.matching.curve import Curve
from mien.matching.metrics import Comparisons, Vectors, cross_compare
from mien.model import sealing
from mien.model.bundle import Bundle, load
from mien.model.card import Card, supported
from mien.model.cost import ORIGIN, Cost
from mien.model.embedder import INPUT, OUTPUT, Embedder
from mien.model.golden import golden_crops
from mien.model.manifest import InputSpec
from mien.model.proof import check_batches
from mien.model.sealing import Draft
from mien_training import data as folders
from mien_training.config.recipe import Crop
from mien_training.data import Crops
from mien_training.embed import embed
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.quantise import Quantised, quantise
from mien_training.run import Run, load_run

PARITY = 1e-5
"""Largest difference between a component of torch's vector and of the bundle's."""
OPSET = 18


@dataclass(frozen=True)
class Label:
    """What people say of a bundle; it changes no fingerprint."""

    name: str
    license: str
    """Of the weights."""


@dataclass(frozen=True)
class Export:
    """A sealed bundle and how far its vectors are from those of the network in torch.

    Of an int8 bundle, that is the float32 network which was quantised; `costs` say what this
    changed.
    """

    bundle: Bundle
    max_difference: float
    crops_compared: int
    costs: tuple[Cost, ...] = ()


def export(
    folder: Path,
    out: Path,
    label: Label,
    data: Path | None = None,
    int8: bool = False,
) -> Export:
    """Seal the run in `folder` as the new bundle `out`, calibrated on its people of validation.

    `data` is where the run's folder of people is now, if it has moved. With `int8` the network is
    quantised on pictures of training; model card, manifest and every report say what that costs.

    Raises OutputExists, RunInvalid (no run), DatasetInvalid (the pictures are not those of the
    run) and BundleInvalid (the bundle's vectors are not those of the network, or not the same
    alone and in a batch).
    """
    run = load_run(folder)
    people = _people(run, data or run.data)
    held_out = people.of(run.validation_people)
    draft = _draft(run, label)
    with staged(out) as staging:
        aside = staging.with_name(f"{staging.name}-float32")
        bundle = sealing.seal(draft, aside if int8 else staging)
        vectors, difference = _compared(bundle, run, held_out)
        in_float32 = vectors if int8 else None
        if int8:
            quantised = quantise(draft.network, people.of(run.train_people).images)
            bundle = sealing.seal(_int8(draft, quantised), staging)
            vectors = Embedder.of(bundle).embed(held_out.images)
        check_batches(Embedder.of(bundle))
        costs = _calibrate(bundle, run, held_out, vectors, in_float32)
    sealed = load(out)
    return Export(sealed, difference, len(sealed.golden.crops) + len(held_out.images), costs)


def to_onnx(network: EmbeddingNetwork, crop: Crop) -> bytes:
    """The network as ONNX: "crops" uint8 [batch, H, W, 3] to "embeddings" float32 [batch, D]."""
    example = torch.zeros((2, crop.height, crop.width, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:
        raise BundleInvalid("torch exported no program; is onnxscript installed?")
    # The exporter notes where its source files lie: private, and another fingerprint elsewhere.
    ClearMetadataAndDocStringPass()(program.model)
    return program.model_proto.SerializeToString()


def _draft(run: Run, label: Label) -> Draft:
    crop = run.recipe.crop
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
        network=to_onnx(run.network, crop),
        card=_card(run, label).text(),
        provenance={
            "mien": run.version,
            "data_sha256": run.data_digest,
            "train_people": str(len(run.train_people)),
            "recipe": run.recipe.model_dump_json(),
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
    spec = bundle.manifest.input
    crops = np.concatenate([golden_crops(spec.crop_height, spec.crop_width), held_out.images])
    vectors = Embedder.of(bundle).embed(crops)
    difference = float(np.abs(vectors - embed(run.network, crops)).max())
    if not difference <= PARITY:
        raise BundleInvalid(
            f"the bundle's vectors differ from the network's by {difference:.2g}, more than "
            f"{PARITY:g}; do not use it"
        )
    return vectors[len(crops) - len(held_out.images) :], difference


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
        ),
    )
