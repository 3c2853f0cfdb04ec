"""The sealed artefact: a folder that says what it is and proves that nobody changed it.

    model.onnx         uint8 [batch, H, W, 3] RGB crops -> float32 [batch, D] unit vectors
    golden.npz         crops made by code, and the vectors they must give
    calibration.json   measured error rates by threshold; missing until the bundle is calibrated
    MODEL_CARD.md      data, licence, results, limits
    manifest.json      the format, the fingerprint, and the SHA-256 of every other file

The fingerprint covers what makes two vectors comparable: format, network, crop size, alignment and
dimension. The seal covers the manifest itself. Both detect accidents, not forgers.
`mien.model.sealing` writes it; `mien.model.proof` proves one claim after another.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mien.errors import BundleInvalid
from mien.matching.calibration import Calibration
from mien.model.golden import Golden
from mien.model.manifest import (
    CALIBRATION,
    GOLDEN,
    NETWORK,
    Manifest,
    check_files,
    check_fingerprint,
    first_line,
    read_file,
    read_manifest,
)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file has been checked."""

    folder: Path
    manifest: Manifest
    calibration: Calibration | None

    @property
    def network(self) -> Path:
        return self.folder / NETWORK

    @property
    def golden(self) -> Golden:
        """Raises BundleInvalid if the file holds no such arrays."""
        return Golden.read(self.folder / GOLDEN)


def load(folder: Path) -> Bundle:
    """Read a bundle and check every file of it against the manifest.

    Files that it does not list are not looked at, and the network is not run: see
    `mien.model.embedder.Embedder.of` and `mien.model.proof`.

    Raises BundleInvalid: no bundle, of a newer format, a file is missing or changed, or golden
    vectors of a wrong size or not finite.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    check_fingerprint(folder, manifest)
    Golden.read(folder / GOLDEN).check(manifest.input)
    return Bundle(folder, manifest, read_calibration(folder, manifest))


def read_calibration(folder: Path, manifest: Manifest) -> Calibration | None:
    """Raises BundleInvalid if it is damaged or of another model."""
    if CALIBRATION not in manifest.files:
        return None
    try:
        calibration = Calibration.model_validate_json(read_file(folder, CALIBRATION))
    except ValidationError as error:
        raise BundleInvalid(f"{folder / CALIBRATION}: {first_line(error)}") from None
    check_calibration(manifest, calibration, folder)
    return calibration


def check_calibration(manifest: Manifest, calibration: Calibration, folder: Path) -> None:
    """Raises BundleInvalid if it was measured with another model."""
    if calibration.model_fingerprint != manifest.fingerprint:
        raise BundleInvalid(
            f"{folder}: the calibration was measured with another model "
            f"({calibration.model_fingerprint[:12]}…); calibrate this one"
        )
