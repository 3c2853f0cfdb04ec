"""The sealed artefact: a folder that says what it is and proves that nobody changed it.

    model.onnx         uint8 [batch, H, W, 3] RGB crops -> float32 [batch, D] unit vectors
    golden.npz         crops made by code, and the vectors they must give
    calibration.json   measured error rates by threshold; missing until the bundle is calibrated
    MODEL_CARD.md      data, licence, results, limits
    manifest.json      the format, the fingerprint, and the SHA-256 of every other file

The fingerprint covers what makes two vectors comparable: format, network, crop size, alignment and
dimension. The seal covers the manifest itself. Both detect accidents, not forgers.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import BundleInvalid, OutputExists
from mien.matching.calibration import Calibration
from mien.matching.metrics import Vectors
from mien.vision.crops import Alignment

FORMAT = "mien-bundle/1"
MANIFEST, NETWORK, GOLDEN, CALIBRATION, CARD = (
    "manifest.json",
    "model.onnx",
    "golden.npz",
    "calibration.json",
    "MODEL_CARD.md",
)
REQUIRED = frozenset({NETWORK, GOLDEN, CARD})


class InputSpec(BaseModel):
    """What the network takes and gives."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    crop_height: int = Field(gt=0, le=4096)
    crop_width: int = Field(gt=0, le=4096)
    alignment: Alignment
    dim: int = Field(gt=0, le=65536)


class Manifest(BaseModel):
    """`manifest.json`; an unknown or missing key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: str
    name: str
    license: str
    created: str
    input: InputSpec
    fingerprint: str
    files: dict[str, str]
    provenance: dict[str, str]
    seal: str


@dataclass(frozen=True)
class Golden:
    """uint8 [N, H, W, 3] crops and the float32 [N, D] vectors that they must give."""

    crops: npt.NDArray[np.uint8]
    vectors: Vectors


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
        try:
            with np.load(self.folder / GOLDEN, allow_pickle=False) as arrays:
                return Golden(arrays["crops"], arrays["vectors"])
        except (ValueError, KeyError, TypeError, AttributeError, OSError, BadZipFile) as error:
            raise BundleInvalid(f"{self.folder / GOLDEN} is damaged: {error}") from None


@dataclass(frozen=True)
class Draft:
    """What a new bundle is made of."""

    name: str
    license: str
    created: str
    input: InputSpec
    network: bytes
    golden: Golden
    card: str
    provenance: dict[str, str]


def seal(draft: Draft, folder: Path) -> Bundle:
    """Write an uncalibrated bundle to a new folder, all or nothing, and load it.

    Raises OutputExists.
    """
    arrays = io.BytesIO()
    np.savez(arrays, crops=draft.golden.crops, vectors=draft.golden.vectors)
    contents = {
        NETWORK: draft.network,
        GOLDEN: arrays.getvalue(),
        CARD: draft.card.encode(),
    }
    manifest = _sealed(
        format=FORMAT,
        name=draft.name,
        license=draft.license,
        created=draft.created,
        input=draft.input,
        fingerprint=fingerprint(_digest(draft.network), draft.input),
        files={name: _digest(content) for name, content in contents.items()},
        provenance=draft.provenance,
    )
    with staged(folder) as staging:
        staging.mkdir()
        for name, content in contents.items():
            _write(staging / name, content)
        _write(staging / MANIFEST, manifest.model_dump_json(indent=2).encode())
    return load(folder)


def calibrate(bundle: Bundle, calibration: Calibration, card: str) -> Bundle:
    """Give a bundle its calibration and a model card that tells of it.

    Raises BundleInvalid if the calibration was measured with another model.
    """
    contents = {CALIBRATION: calibration.model_dump_json(indent=2).encode(), CARD: card.encode()}
    kept = bundle.manifest.model_dump(exclude={"seal", "files", "input"})
    files = bundle.manifest.files | {name: _digest(data) for name, data in contents.items()}
    manifest = _sealed(**kept, input=bundle.manifest.input, files=files)
    _check_calibration(manifest, calibration, bundle.folder)
    for name, content in contents.items():
        _write(bundle.folder / name, content)
    _write(bundle.folder / MANIFEST, manifest.model_dump_json(indent=2).encode())
    return load(bundle.folder)


def load(folder: Path) -> Bundle:
    """Read a bundle and check every file of it against the manifest.

    Files that it does not list are not looked at.

    Raises BundleInvalid: no bundle, of a newer format, or a file is missing or changed.
    """
    manifest = _read_manifest(folder)
    for name in sorted(REQUIRED - manifest.files.keys()):
        raise BundleInvalid(f"{folder / MANIFEST} does not list {name}; export the bundle again")
    for name, digest in manifest.files.items():
        if _digest(_read(folder, name)) != digest:
            raise BundleInvalid(
                f"{folder / name} was changed after the bundle was sealed; export it again"
            )
    if manifest.fingerprint != fingerprint(manifest.files[NETWORK], manifest.input):
        raise BundleInvalid(f"{folder}: the fingerprint is not that of its network and input")
    return Bundle(folder, manifest, _read_calibration(folder, manifest))


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A path to make a folder at, which gets its name only when the block has ended well.

    Raises OutputExists if there is something of that name.
    """
    if folder.exists():
        raise OutputExists(f"{folder} exists already; choose another name or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sealing-") as temporary:
        staging = Path(temporary) / folder.name
        yield staging
        staging.rename(folder)


def fingerprint(network_sha256: str, spec: InputSpec) -> str:
    """SHA-256, hexadecimal, over all that makes two vectors comparable."""
    return _digest(
        _canonical({"format": FORMAT, "network": network_sha256, "input": spec.model_dump()})
    )


def _sealed(**fields: object) -> Manifest:
    unsealed = Manifest.model_validate({**fields, "seal": ""})
    return unsealed.model_copy(update={"seal": _seal_of(unsealed)})


def _seal_of(manifest: Manifest) -> str:
    return _digest(_canonical(manifest.model_dump(exclude={"seal"})))


def _read_manifest(folder: Path) -> Manifest:
    if not (folder / MANIFEST).is_file():
        raise BundleInvalid(f"{folder} is no bundle: it has no {MANIFEST}")
    try:
        fields = json.loads(_read(folder, MANIFEST))
        found = fields["format"]
        if found != FORMAT:
            raise BundleInvalid(f"{folder} has the format {found!r}; this mien reads {FORMAT!r}")
        manifest = Manifest.model_validate(fields)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleInvalid(f"{folder / MANIFEST} is damaged: {_first_line(error)}") from None
    if manifest.seal != _seal_of(manifest):
        raise BundleInvalid(
            f"{folder / MANIFEST} was changed after the bundle was sealed; export it again"
        )
    return manifest


def _read_calibration(folder: Path, manifest: Manifest) -> Calibration | None:
    if CALIBRATION not in manifest.files:
        return None
    try:
        calibration = Calibration.model_validate_json(_read(folder, CALIBRATION))
    except ValidationError as error:
        raise BundleInvalid(f"{folder / CALIBRATION}: {_first_line(error)}") from None
    _check_calibration(manifest, calibration, folder)
    return calibration


def _check_calibration(manifest: Manifest, calibration: Calibration, folder: Path) -> None:
    if calibration.model_fingerprint != manifest.fingerprint:
        raise BundleInvalid(f"{folder}: the calibration was measured with another model")


def _read(folder: Path, name: str) -> bytes:
    if Path(name).name != name:
        raise BundleInvalid(f"{folder / MANIFEST} names a file outside the bundle: {name!r}")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleInvalid(
            f"{folder / name} cannot be read ({error.strerror}); export the bundle again"
        ) from None


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__} {error}"


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
