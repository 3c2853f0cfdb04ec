"""Crops to unit vectors, by one ONNX call for a batch."""

from typing import Self

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mien.errors import BundleInvalid
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle, Golden, InputSpec

GOLDEN_TOLERANCE = 1e-4
"""Largest difference from a golden vector's component: processors round differently (float32)."""

BATCH = 64
"""Crops in one call: as fast as larger batches, and the memory of a call stays small."""

_CANNOT_LOAD = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
)
"""What onnxruntime raises for a network that it cannot run; the classes have no common base."""


class Embedder:
    """A loaded network. Safe to call from several threads."""

    def __init__(self, network: str | bytes, spec: InputSpec, threads: int = 0) -> None:
        """`threads` run inside one call; 0 lets onnxruntime take every core.

        Raises BundleInvalid if the bytes are no network, or one of another signature.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                network, options, providers=["CPUExecutionProvider"]
            )
        except _CANNOT_LOAD as error:
            raise BundleInvalid(f"the network cannot be loaded: {error}") from None
        self.spec = spec
        self._check_signature()

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 0) -> Self:
        """The bundle's network, warm, its golden vectors proved on this machine.

        Raises BundleInvalid if the network cannot be loaded or gives other vectors.
        """
        embedder = cls(str(bundle.network), bundle.manifest.input, threads)
        embedder.check(bundle.golden)
        return embedder

    def embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 [B, H, W, 3] RGB crops to float32 [B, D] unit vectors; B of any size."""
        parts = [self._run(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
        return np.concatenate(parts)

    def check(self, golden: Golden) -> float:
        """The largest difference from the golden vectors.

        Raises BundleInvalid if it exceeds GOLDEN_TOLERANCE or if anything is not finite.
        """
        count = len(golden.crops)
        crops = (np.uint8, (max(1, count), self.spec.crop_height, self.spec.crop_width, 3))
        vectors = (np.float32, (count, self.spec.dim))
        for array, (dtype, shape) in ((golden.crops, crops), (golden.vectors, vectors)):
            if array.dtype != dtype or array.shape != shape:
                raise BundleInvalid(
                    f"a golden array is {array.dtype} {array.shape}; "
                    f"by the manifest it should be {np.dtype(dtype)} {shape}"
                )
        difference = float(np.abs(self.embed(golden.crops) - golden.vectors).max())
        if not difference <= GOLDEN_TOLERANCE:
            raise BundleInvalid(
                f"the network misses its golden vectors by {difference:.2g} "
                f"(at most {GOLDEN_TOLERANCE:g}); the bundle or onnxruntime is damaged"
            )
        return difference

    def _run(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        (vectors,) = self._session.run(None, {"crops": crops})
        return np.asarray(vectors, dtype=np.float32)

    def _check_signature(self) -> None:
        takes = [(value.name, value.type) for value in self._session.get_inputs()]
        gives = [value.type for value in self._session.get_outputs()]
        if takes != [("crops", "tensor(uint8)")] or gives != ["tensor(float)"]:
            raise BundleInvalid(
                f"the network takes {takes} and gives {gives}; a bundle's takes 'crops' as uint8 "
                "and gives one float output"
            )
