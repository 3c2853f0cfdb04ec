"""Crops that show nobody, and the vectors that a network must give for them."""

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from mien.errors import BundleInvalid
from mien.matching.metrics import Vectors
from mien.model.manifest import InputSpec, Precision

TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "int8": 0.02}
"""Largest difference from a golden vector's component, by precision: processors round differently.

An int8 network rounds what it computed in float32 to whole steps between its layers, so that a last
bit can become a step; docs/bundle.md tells what was measured.
"""

CROPS = 8
UNIT_TOLERANCE = 1e-3
"""How far from 1 a norm may be, as at the door of a gallery (`mien.gallery.embedding`)."""

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile)


@dataclass(frozen=True)
class Golden:
    """uint8 [N, H, W, 3] crops and the float32 [N, D] vectors that they must give."""

    crops: npt.NDArray[np.uint8]
    vectors: Vectors

    @classmethod
    def read(cls, path: Path) -> "Golden":
        """Raises BundleInvalid if the file holds no such arrays."""
        try:
            # NumPy leaves a file open that it opened itself and found to be damaged.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(arrays["crops"], arrays["vectors"])
        except _DAMAGED as error:
            raise BundleInvalid(f"{path} is damaged: {error}") from None

    def to_bytes(self) -> bytes:
        arrays = io.BytesIO()
        np.savez(arrays, crops=self.crops, vectors=self.vectors)
        return arrays.getvalue()

    def check(self, spec: InputSpec) -> None:
        """Raises BundleInvalid: of another size or type than the manifest's, or no unit vectors."""
        count = len(self.crops) if self.crops.ndim else 0
        crops = (np.uint8, (max(1, count), spec.crop_height, spec.crop_width, 3))
        vectors = (np.float32, (count, spec.dim))
        for array, (dtype, shape) in ((self.crops, crops), (self.vectors, vectors)):
            if array.dtype != dtype or array.shape != shape:
                raise BundleInvalid(
                    f"a golden array is {array.dtype} {array.shape}; by the manifest it should be "
                    f"{np.dtype(dtype)} {shape}; export the bundle again"
                )
        check_unit(self.vectors, "a golden vector")


def golden_crops(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Noise from coarse to fine, uint8 [CROPS, height, width, 3]; always the same."""
    random = np.random.default_rng(0)
    crops = []
    for index in range(CROPS):
        grain = 2 ** (index % 5)
        coarse = random.integers(256, size=(-(-height // grain), -(-width // grain), 3))
        fine = coarse.repeat(grain, axis=0).repeat(grain, axis=1)
        crops.append(fine[:height, :width].astype(np.uint8))
    return np.stack(crops)


def check_unit(vectors: Vectors, what: str) -> float:
    """How far the norm of a vector [N, D] is from 1 at most.

    Raises BundleInvalid if a value is NaN or infinite, or a norm is off by over UNIT_TOLERANCE.
    """
    odd = int(np.count_nonzero(~np.isfinite(vectors)))
    if odd:
        raise BundleInvalid(
            f"{what} is not finite: {odd} of {vectors.size} values are NaN or infinite; the "
            "network divides by zero or its weights are damaged"
        )
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    worst = float(norms[np.argmax(np.abs(norms - 1))])
    if abs(worst - 1) > UNIT_TOLERANCE:
        raise BundleInvalid(
            f"{what} has norm {worst:.6g}, not 1 within {UNIT_TOLERANCE:g}; a bundle's network "
            "gives unit vectors"
        )
    return abs(worst - 1)
