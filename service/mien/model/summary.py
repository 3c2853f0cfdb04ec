"""What is in a bundle, as plain values: `mien bundle inspect --json`."""

from dataclasses import asdict
from typing import Any

from mien.matching.calibration import Calibration
from mien.matching.curve import Curve
from mien.model.bundle import Bundle
from mien.model.card import operating_points
from mien.model.cost import costs_of
from mien.model.manifest import MANIFEST


def summary(bundle: Bundle) -> dict[str, Any]:
    """The keys are stable and documented in docs/bundle.md."""
    manifest = bundle.manifest
    files = [MANIFEST, *manifest.files]
    return {
        "name": manifest.name,
        "license": manifest.license,
        "created": manifest.created,
        "format": manifest.format,
        "fingerprint": manifest.fingerprint,
        "precision": manifest.precision,
        "crop": {"height": manifest.input.crop_height, "width": manifest.input.crop_width},
        "alignment": manifest.input.alignment,
        "dim": manifest.input.dim,
        "bytes": {name: (bundle.folder / name).stat().st_size for name in files},
        "calibration": _calibration(bundle.calibration) if bundle.calibration else None,
        "int8_cost": [asdict(cost) for cost in costs_of(manifest)] or None,
        "provenance": manifest.provenance,
    }


def _calibration(calibration: Calibration) -> dict[str, Any]:
    return {
        "calibration_id": calibration.calibration_id,
        "identities": calibration.identities,
        "smallest_supported_fmr": calibration.smallest_supported_fmr,
        "support": calibration.support,
        "fusion": calibration.fusion,
        "curves": [_curve(curve) for curve in calibration.curves],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return curve.model_dump(exclude={"points"}) | {
        "operating_points": [
            {"target_fmr": rate, **point.model_dump()} for rate, point in operating_points(curve)
        ]
    }
