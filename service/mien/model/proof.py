"""Every claim of a bundle, proved one after another: `mien bundle check`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import BundleInvalid
from mien.model.bundle import Bundle, read_calibration
from mien.model.embedder import BATCH, Embedder
from mien.model.golden import TOLERANCE, Golden, check_unit, golden_crops
from mien.model.manifest import (
    GOLDEN,
    Manifest,
    check_files,
    check_fingerprint,
    read_manifest,
)

ALONE = 1e-6
"""Largest difference between a component of a crop's vector alone and in a batch."""
BATCHES = (2, 3, 8, 17, BATCH)
"""Sizes that are tried: even, odd, prime, and the largest of one call."""


@dataclass(frozen=True)
class Proof:
    """One claim that holds, and what was found."""

    claim: str
    found: str


def prove(folder: Path, threads: int = 0) -> Iterator[Proof]:
    """Prove a bundle's claims in order, on this machine.

    Raises BundleInvalid at the first that does not hold.
    """
    manifest = read_manifest(folder)
    yield Proof("manifest", f"{manifest.format}, all keys known, none missing")
    yield Proof("seal", f"{manifest.seal[:12]}… is that of the manifest")
    check_files(folder, manifest)
    yield Proof("digests", f"{len(manifest.files)} files are as they were sealed")
    check_fingerprint(folder, manifest)
    yield Proof("fingerprint", f"{manifest.fingerprint[:12]}… is that of the network and its input")
    calibration = read_calibration(folder, manifest)
    yield Proof("calibration", "of this network" if calibration else "none")
    golden = Golden.read(folder / GOLDEN)
    golden.check(manifest.input)
    yield Proof("golden file", f"{len(golden.crops)} crops and vectors of the right size")
    yield from _prove_network(Bundle(folder, manifest, calibration), golden, threads)


def check_batches(embedder: Embedder) -> float:
    """The largest difference between a crop's vector alone and in a batch of several sizes.

    Raises BundleInvalid if it is over ALONE.
    """
    spec = embedder.spec
    some = golden_crops(spec.crop_height, spec.crop_width)
    crops = np.concatenate([some] * -(-max(BATCHES) // len(some)))
    alone = np.concatenate([embedder.golden(crop[None]).vectors for crop in some])
    worst = 0.0
    for size in BATCHES:
        together = embedder.golden(crops[:size]).vectors
        expected = np.concatenate([alone] * -(-size // len(some)))[:size]
        worst = max(worst, float(np.abs(together - expected).max()))
    if not worst <= ALONE:
        raise BundleInvalid(
            f"a crop's vector depends on the batch that it is in: by {worst:.2g}, more than "
            f"{ALONE:g}; export the network for inference and with a dynamic batch"
        )
    return worst


def _prove_network(bundle: Bundle, golden: Golden, threads: int) -> Iterator[Proof]:
    manifest = bundle.manifest
    embedder = Embedder(str(bundle.network), manifest.input, threads, manifest.precision)
    yield Proof("signature", _signature(manifest))
    difference = embedder.check(golden)
    allowed = TOLERANCE[manifest.precision]
    yield Proof("golden vectors", f"at most {difference:.1e} away ({allowed:g} is allowed)")
    off = check_unit(embedder.embed(golden.crops), "a vector of the network")
    yield Proof("unit vectors", f"finite, and their norms within {off:.1e} of 1")
    worst = check_batches(embedder)
    sizes = ", ".join(map(str, BATCHES))
    yield Proof("alone or in a batch", f"at most {worst:.1e} apart in batches of {sizes}")


def _signature(manifest: Manifest) -> str:
    spec = manifest.input
    return f"uint8 [batch, {spec.crop_height}, {spec.crop_width}, 3] -> float32 [batch, {spec.dim}]"
