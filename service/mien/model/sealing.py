"""Making a bundle: a network that keeps the contract, sealed, and later calibrated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.files import replaced, staged
from mien.matching.calibration import Calibration
from mien.model.bundle import Bundle, check_calibration, load
from mien.model.cost import Cost, noted
from mien.model.embedder import Embedder
from mien.model.golden import golden_crops
from mien.model.manifest import (
    CALIBRATION,
    CARD,
    FORMAT,
    GOLDEN,
    MANIFEST,
    NETWORK,
    InputSpec,
    Manifest,
    Precision,
    digest,
    fingerprint,
)


@dataclass(frozen=True)
class Draft:
    """What a new bundle is made of."""

    name: str
    license: str
    created: str
    """ISO 8601 with a time zone."""
    input: InputSpec
    network: bytes
    """ONNX that keeps the contract (`mien.model.embedder`)."""
    card: str
    provenance: dict[str, str] = field(default_factory=dict)
    precision: Precision = "float32"

    @property
    def fingerprint(self) -> str:
        """That the bundle will have."""
        return fingerprint(digest(self.network), self.input)


def seal(draft: Draft, folder: Path) -> Bundle:
    """Write an uncalibrated bundle to a new folder, all or nothing, and load it.

    Its golden vectors are what the network gives here.

    Raises OutputExists, and BundleInvalid if the network breaks the contract: it cannot be loaded,
    has another signature, or gives vectors that are not finite unit vectors.
    """
    embedder = Embedder(draft.network, draft.input, precision=draft.precision)
    golden = embedder.golden(golden_crops(draft.input.crop_height, draft.input.crop_width))
    contents = {
        NETWORK: draft.network,
        GOLDEN: golden.to_bytes(),
        CARD: draft.card.encode(),
    }
    manifest = Manifest.sealed(
        format=FORMAT,
        name=draft.name,
        license=draft.license,
        created=draft.created,
        input=draft.input,
        precision=draft.precision,
        fingerprint=draft.fingerprint,
        files={name: digest(content) for name, content in contents.items()},
        provenance=draft.provenance,
    )
    with staged(folder) as staging:
        staging.mkdir()
        for name, content in contents.items():
            _write(staging / name, content)
        _write(staging / MANIFEST, manifest.to_bytes())
    return load(folder)


def calibrate(
    bundle: Bundle, calibration: Calibration, card: str, costs: Sequence[Cost] = ()
) -> Bundle:
    """Give a bundle its calibration, a model card that tells of it, and what int8 was measured to
    cost.

    Raises BundleInvalid if the calibration was measured with another model.
    """
    check_calibration(bundle.manifest, calibration, bundle.folder)
    contents = {CALIBRATION: calibration.model_dump_json(indent=2).encode(), CARD: card.encode()}
    files = bundle.manifest.files | {name: digest(data) for name, data in contents.items()}
    provenance = bundle.manifest.provenance | noted(costs)
    for name, content in contents.items():
        _write(bundle.folder / name, content)
    _write(
        bundle.folder / MANIFEST,
        bundle.manifest.changed(files=files, provenance=provenance).to_bytes(),
    )
    return load(bundle.folder)


def describe(bundle: Bundle, card: str) -> Bundle:
    """Give a bundle another model card; its fingerprint stays."""
    files = bundle.manifest.files | {CARD: digest(card.encode())}
    _write(bundle.folder / CARD, card.encode())
    _write(bundle.folder / MANIFEST, bundle.manifest.changed(files=files).to_bytes())
    return load(bundle.folder)


def _write(path: Path, content: bytes) -> None:
    with replaced(path) as file:
        file.write(content)
