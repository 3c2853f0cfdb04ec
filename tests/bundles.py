"""A small bundle without training: a random projection of pixels, normalised."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.dataset import digest as digest_of_pictures
from mien.matching import calibration
from mien.model.bundle import Bundle
from mien.model.cost import ORIGIN, Cost
from mien.model.embedder import Embedder
from mien.model.manifest import InputSpec, digest, fingerprint, read_manifest
from mien.model.sealing import Draft, calibrate, seal
from tests.faces import SIDE, picture

DIM = 16
SPEC = InputSpec(crop_height=SIDE, crop_width=SIDE, alignment="none", dim=DIM)


def network(seed: int = 0) -> bytes:
    """ONNX bytes: uint8 [batch, 48, 48, 3] to float32 [batch, 16] unit vectors."""
    weights = np.random.default_rng(seed).normal(size=(SIDE * SIDE * 3, DIM)).astype(np.float32)
    constants = {"flat": np.array([0, -1]), "half": np.float32(127.5), "weights": weights}
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "half"], ["centred"]),
        helper.make_node("Reshape", ["centred", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embeddings"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "projection",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", DIM])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def draft(seed: int = 0) -> Draft:
    return Draft(
        name=f"projection-{seed}",
        license="Apache-2.0",
        created="2026-01-01T00:00:00+00:00",
        input=SPEC,
        network=network(seed),
        card="# projection\n",
        provenance={"made": "by code"},
    )


def aligned(folder: Path, seed: int = 0) -> Bundle:
    """Of photographs, whose faces are to be aligned."""
    spec = SPEC.model_copy(update={"alignment": "arcface-5"})
    return seal(replace(draft(seed), input=spec), folder)


def aligned_calibrated(folder: Path, seed: int = 0) -> Bundle:
    """As `aligned`, with rates; by portraits that lie as the template does."""
    return _calibrated(aligned(folder, seed), 40, 6)


def uncalibrated(folder: Path, seed: int = 0) -> Bundle:
    return seal(draft(seed), folder)


def calibrated(folder: Path, seed: int = 0, people: int = 40, shots: int = 6) -> Bundle:
    """Calibrated on generated people numbered from 1000."""
    return _calibrated(uncalibrated(folder, seed), people, shots)


def _calibrated(bundle: Bundle, people: int, shots: int) -> Bundle:
    card = "# projection, calibrated\n"
    return calibrate(bundle, measured(bundle, people, shots), card=card)


def measured(bundle: Bundle, people: int = 40, shots: int = 6) -> calibration.Calibration:
    crops = np.stack([picture(1000 + p, s) for p in range(people) for s in range(shots)])
    whose = np.repeat(np.arange(people), shots)
    vectors = Embedder.of(bundle, threads=1).embed(crops)
    data = digest_of_pictures(whose.tolist(), (crop.tobytes() for crop in crops))
    return calibration.calibrate(vectors, whose, bundle.manifest.fingerprint, dataset_digest=data)


COSTS = (Cost(None, 0.02, 0.03), Cost(0.01, 0.2, 0.15))
"""Of `in_int8`; made up."""


def in_int8(folder: Path, origin: str = "f" * 64) -> Bundle:
    """The same network, said to be the quantised one of the bundle with the fingerprint `origin`.

    Calibrated on generated people, with a note of COSTS.
    """
    quantised = replace(draft(), precision="int8", provenance={ORIGIN: origin})
    bundle = seal(quantised, folder)
    return calibrate(bundle, measured(bundle), card="# projection in int8\n", costs=COSTS)


def altered(source: Path, folder: Path, **files: bytes) -> Path:
    """A copy with other files, named with _ for the dot, and a manifest that fits them."""
    shutil.copytree(source, folder)
    manifest = read_manifest(folder)
    for name, content in {key.replace("_", "."): value for key, value in files.items()}.items():
        (folder / name).write_bytes(content)
        manifest = manifest.changed(files=manifest.files | {name: digest(content)})
    own = fingerprint(manifest.files["model.onnx"], manifest.input)
    (folder / "manifest.json").write_bytes(manifest.changed(fingerprint=own).to_bytes())
    return folder


def without_numbers() -> bytes:
    """A network of the right signature that gives NaN: 0 divided by 0."""
    model = onnx.load_from_string(network())
    weights = next(each for each in model.graph.initializer if each.name == "weights")
    weights.CopyFrom(numpy_helper.from_array(np.full(weights.dims, np.nan, np.float32), "weights"))
    return model.SerializeToString()
