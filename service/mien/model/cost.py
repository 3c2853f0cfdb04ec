"""What int8 costs: error rates of a float32 network and of the same one quantised."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mien.errors import BundleInvalid
from mien.model.manifest import Manifest, first_line

NOTED = "int8_cost"
"""The key of a bundle's provenance that holds its costs, as JSON."""
ORIGIN = "float32_fingerprint"
"""The key that names the bundle which was quantised."""


@dataclass(frozen=True)
class Cost:
    """What another precision costs, on the same held-out people.

    A rate of None is the equal error rate; else the rate is an FMR and the values are the FNMR.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    rate: float | None
    float32: float
    int8: float


_COSTS = TypeAdapter(tuple[Cost, ...])


def noted(costs: Sequence[Cost]) -> dict[str, str]:
    """Provenance that tells of the costs; nothing where there are none."""
    return {NOTED: _COSTS.dump_json(tuple(costs)).decode()} if costs else {}


def costs_of(manifest: Manifest) -> tuple[Cost, ...]:
    """What was noted when the bundle was sealed; nothing of a float32 or an imported one.

    Raises BundleInvalid if it cannot be read.
    """
    text = manifest.provenance.get(NOTED)
    if text is None:
        return ()
    try:
        return _COSTS.validate_json(text)
    except ValidationError as error:
        raise BundleInvalid(
            f"the provenance of {manifest.name} has an odd {NOTED}: {first_line(error)}; export "
            "the bundle again"
        ) from None
