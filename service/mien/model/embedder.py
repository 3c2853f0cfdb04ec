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
        """`threads` run inside one call; 0 lets onnxruntime take every core."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            network, options, providers=["CPUExecutionProvider"]
        )
        self.spec = spec

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 0) -> Self:
        """The bundle's network, warm, its golden vectors proved on this machine.

        Raises BundleInvalid if the network cannot be loaded or gives other vectors.
        """
        try:
            embedder = cls(str(bundle.network), bundle.manifest.input, threads)
        except _CANNOT_LOAD as error:
            raise BundleInvalid(f"{bundle.network} cannot be loaded: {error}") from None
        embedder.check(bundle.golden)
        return embedder

    def embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 [B, H, W, 3] RGB crops to float32 [B, D] unit vectors."""
        (vectors,) = self._session.run(None, {"crops": crops})
        return np.asarray(vectors, dtype=np.float32)

    def check(self, golden: Golden) -> float:
        """The largest difference from the golden vectors.

        Raises BundleInvalid if it exceeds GOLDEN_TOLERANCE or if anything is not finite.
        """
        expected = (len(golden.crops), self.spec.dim)
        if golden.vectors.shape != expected:
            raise BundleInvalid(
                f"the golden vectors are {golden.vectors.shape}; the manifest says {expected}"
            )
        difference = float(np.abs(self.embed(golden.crops) - golden.vectors).max())
        if not difference <= GOLDEN_TOLERANCE:
            raise BundleInvalid(
                f"the network misses its golden vectors by {difference:.2g} "
                f"(at most {GOLDEN_TOLERANCE:g}); the bundle or onnxruntime is damaged"
            )
        return difference
