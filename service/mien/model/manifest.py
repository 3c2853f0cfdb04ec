"""What a bundle says of itself: `manifest.json`, its fingerprint and its seal."""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import BundleInvalid
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

Precision: TypeAlias = Literal["float32", "int8"]
"""What the network computes in; it says how far processors may differ (`mien.model.golden`)."""


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
    precision: Precision
    fingerprint: str
    files: dict[str, str]
    provenance: dict[str, str]
    seal: str

    @classmethod
    def sealed(cls, **fields: object) -> "Manifest":
        """A manifest of these fields with the seal that belongs to them."""
        unsealed = cls.model_validate({**fields, "seal": ""})
        return unsealed.model_copy(update={"seal": unsealed.own_seal()})

    def changed(self, **fields: object) -> "Manifest":
        """The same with other fields, sealed again."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name != "seal"}
        return Manifest.sealed(**{**kept, **fields})

    def own_seal(self) -> str:
        """SHA-256 over everything but the seal."""
        return digest(canonical(self.model_dump(exclude={"seal"})))

    def to_bytes(self) -> bytes:
        return self.model_dump_json(indent=2).encode()


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json` and check that it lists what it must, under its own seal.

    Raises BundleInvalid: no bundle, of another format, an odd key, or changed since sealed.
    """
    path = folder / MANIFEST
    if not folder.exists():
        raise BundleInvalid(f"{folder} is no bundle: there is no such folder")
    if not path.is_file():
        raise BundleInvalid(f"{folder} is no bundle: it has no {MANIFEST}")
    try:
        fields = json.loads(read_file(folder, MANIFEST))
        _check_format(folder, fields["format"])
        manifest = Manifest.model_validate(fields)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleInvalid(f"{path} is damaged: {first_line(error)}") from None
    if manifest.seal != manifest.own_seal():
        raise BundleInvalid(f"{path} was changed after the bundle was sealed; export it again")
    for name in sorted(REQUIRED - manifest.files.keys()):
        raise BundleInvalid(f"{path} does not list {name}; export the bundle again")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises BundleInvalid if a file of the manifest is missing or changed."""
    for name, sealed in manifest.files.items():
        if digest(read_file(folder, name)) != sealed:
            raise BundleInvalid(
                f"{folder / name} was changed after the bundle was sealed; export it again"
            )


def check_fingerprint(folder: Path, manifest: Manifest) -> None:
    """Raises BundleInvalid if the fingerprint is that of another network or input."""
    own = fingerprint(manifest.files[NETWORK], manifest.input)
    if manifest.fingerprint != own:
        raise BundleInvalid(
            f"{folder}: the fingerprint {manifest.fingerprint[:12]}… is not that of its network "
            f"and input, {own[:12]}…; the network was swapped: export the bundle again"
        )


def fingerprint(network_sha256: str, spec: InputSpec) -> str:
    """SHA-256, hexadecimal, over all that makes two vectors comparable."""
    return digest(
        canonical({"format": FORMAT, "network": network_sha256, "input": spec.model_dump()})
    )


def read_file(folder: Path, name: str) -> bytes:
    """A file of a bundle. Raises BundleInvalid, also for a name that leads out of the folder."""
    if Path(name).name != name:
        raise BundleInvalid(f"{folder / MANIFEST} names a file outside the bundle: {name!r}")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleInvalid(
            f"{folder / name} cannot be read ({error.strerror}); export the bundle again"
        ) from None


def first_line(error: Exception) -> str:
    """What pydantic or a parser found first, on one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"it lacks the key {error}"
    return f"{type(error).__name__} {error}"


def canonical(value: object) -> bytes:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _check_format(folder: Path, found: object) -> None:
    if found == FORMAT:
        return
    family, _, number = FORMAT.rpartition("/")
    newer = re.fullmatch(rf"{re.escape(family)}/(\d{{1,9}})", str(found))
    if newer and int(newer[1]) > int(number):
        raise BundleInvalid(
            f"{folder} was made by a newer mien: its format is {found!r} and this mien reads "
            f"{FORMAT!r}; upgrade mien"
        )
    raise BundleInvalid(f"{folder} has the format {found!r}; this mien reads {FORMAT!r}")
