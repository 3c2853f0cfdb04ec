"""A run to a bundle: the network to ONNX, read back, compared, calibrated, sealed."""

import logging
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from mien.errors import BundleInvalid, DatasetInvalid
from mien.matching.calibration import Calibration
from mien.matching.calibration import calibrate as measure
from mien.matching.curve import Curve
from mien.matching.metrics import Vectors
from mien.matching.support import SUPPORT_RULE
from mien.model import bundle as bundles
from mien.model.bundle import Bundle, Draft, Golden, InputSpec
from mien.model.embedder import Embedder
from mien_training.config.recipe import Crop
from mien_training.data import Crops, Images, load
from mien_training.embed import embed
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.run import Run, load_run

PARITY = 1e-5
"""Largest difference between a component of torch's vector and of the bundle's."""
GOLDEN_CROPS = 8
DECADES = (0.1, 0.01, 0.001, 0.0001, 0.00001)
"""FMRs in the model card, as far as they are supported, beside the smallest that is."""
OPSET = 18


@dataclass(frozen=True)
class Export:
    """A sealed bundle and how far its vectors are from those of the network in torch."""

    bundle: Bundle
    max_difference: float
    crops_compared: int


def export(folder: Path, out: Path, name: str, license_: str, data: Path | None = None) -> Export:
    """Seal the run in `folder` as the new bundle `out`, calibrated on its people of validation.

    `data` is where the run's folder of people is now, if it has moved.

    Raises OutputExists, RunInvalid (no run), DatasetInvalid (the pictures are not those of the
    run) and BundleInvalid (the bundle's vectors are not those of the network).
    """
    run = load_run(folder)
    validation = _validation_crops(run, data or run.data)
    with bundles.staged(out) as staging:
        bundle = bundles.seal(_draft(run, name, license_), staging)
        crops = np.concatenate([bundle.golden.crops, validation.images])
        vectors = Embedder.of(bundle).embed(crops)
        difference = _max_difference(vectors, embed(run.network, crops))
        if len(validation.people) >= 2:
            held_out = vectors[len(bundle.golden.crops) :]
            calibration = measure(held_out, validation.labels, bundle.manifest.fingerprint)
            card = _card(run, name, license_, calibration)
            bundles.calibrate(bundle, calibration, card)
    return Export(bundles.load(out), difference, len(crops))


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
            input_names=["crops"],
            output_names=["embeddings"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:
        raise BundleInvalid("torch exported no program; is onnxscript installed?")
    # The exporter notes where its source files lie: private, and another fingerprint elsewhere.
    ClearMetadataAndDocStringPass()(program.model)
    return program.model_proto.SerializeToString()


def _draft(run: Run, name: str, license_: str) -> Draft:
    crop = run.recipe.crop
    spec = InputSpec(
        crop_height=crop.height,
        crop_width=crop.width,
        alignment="none",
        dim=run.recipe.dimension,
    )
    network = to_onnx(run.network, crop)
    crops = _golden_crops(crop)
    return Draft(
        name=name,
        license=license_,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        input=spec,
        network=network,
        golden=Golden(crops, Embedder(network, spec).embed(crops)),
        card=_card(run, name, license_, None),
        provenance={
            "mien": run.version,
            "data_sha256": run.data_digest,
            "train_people": str(len(run.train_people)),
            "recipe": run.recipe.model_dump_json(),
        },
    )


def _golden_crops(crop: Crop) -> Images:
    """Crops that show nobody: noise from coarse to fine, uint8 [GOLDEN_CROPS, H, W, 3]."""
    random = np.random.default_rng(0)
    crops = []
    for index in range(GOLDEN_CROPS):
        grain = 2 ** (index % 5)
        coarse = random.integers(256, size=(-(-crop.height // grain), -(-crop.width // grain), 3))
        fine = coarse.repeat(grain, axis=0).repeat(grain, axis=1)
        crops.append(fine[: crop.height, : crop.width].astype(np.uint8))
    return np.stack(crops)


def _validation_crops(run: Run, data: Path) -> Crops:
    loaded = load(data, run.recipe.crop)
    if loaded.digest != run.data_digest:
        raise DatasetInvalid(
            f"{data} is not what {run.version} learned from: its pictures have changed; "
            "name the unchanged folder with --data"
        )
    return loaded.crops.of(run.validation_people)


def _max_difference(bundles_vectors: Vectors, networks_vectors: Vectors) -> float:
    difference = float(np.abs(bundles_vectors - networks_vectors).max())
    if not difference <= PARITY:
        raise BundleInvalid(
            f"the bundle's vectors differ from the network's by {difference:.2g}, more than "
            f"{PARITY:g}; do not use it"
        )
    return difference


def _card(run: Run, name: str, license_: str, calibration: Calibration | None) -> str:
    lines = [
        f"# {name}",
        "",
        f"Licence of the weights: {license_}",
        f"Learned from {len(run.train_people)} people (data SHA-256 {run.data_digest[:12]}…), "
        f"with mien {run.version}, network {run.recipe.network.kind}.",
        "",
        "## Results",
        "",
        *(_results(calibration) if calibration else ["Not measured: no people were held out."]),
        "",
        "## Limits",
        "",
        "The rates hold for pictures like those they were measured on, and for people drawn as "
        "those were. It decides about likeness only; it does not notice a photograph of a "
        "photograph.",
    ]
    return "\n".join(lines) + "\n"


def _results(calibration: Calibration) -> list[str]:
    strictest = calibration.smallest_supported_fmr
    lines = [
        f"{calibration.identities} people whom the network never learned from make "
        f"{calibration.pictures.identity_pairs:,} pairs of people; they support an FMR of "
        f"{strictest:.2g} and above, by the {SUPPORT_RULE}. Intervals are of 95 %, from resampling "
        "people. Of several samples of a subject "
        f"{'the largest similarity' if calibration.fusion == 'max' else 'the mean similarity'} "
        "decides.",
    ]
    for curve in calibration.curves:
        lines += ["", *_table(curve)]
    return lines


def _table(curve: Curve) -> list[str]:
    rates = [*(rate for rate in DECADES if rate > curve.smallest_supported_fmr)]
    samples = "1 sample" if curve.samples == 1 else f"{curve.samples} samples"
    return [
        f"A subject of {samples}: {curve.identities} people, {curve.genuine_comparisons:,} genuine "
        f"and {curve.impostor_comparisons:,} impostor comparisons.",
        "",
        "| FMR asked for | threshold | FMR measured | FNMR measured |",
        "|---|---|---|---|",
        *(
            f"| {rate:.2g} | {point.threshold:.4f} "
            f"| {_share(point.fmr, point.fmr_lower95, point.fmr_upper95)} "
            f"| {_share(point.fnmr, point.fnmr_lower95, point.fnmr_upper95)} |"
            for rate in [*rates, curve.smallest_supported_fmr]
            for point in [curve.at_fmr(rate)]
        ),
    ]


def _share(rate: float, low: float, high: float) -> str:
    return f"{rate:.4f} ({low:.4f} to {high:.4f})"
