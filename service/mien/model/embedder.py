"""Crops to unit vectors, by one ONNX call for a batch."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mien.errors import BundleInvalid
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.model.golden import TOLERANCE, Golden, check_unit
from mien.model.manifest import InputSpec, Precision

INPUT, OUTPUT = "crops", "embeddings"

BATCH = 64
"""Crops in one call: as fast as larger batches, and the memory of a call stays small."""

SPIN_MICROSECONDS = 15
"""How long a thread of a run spins, while it waits for the others after a layer. Without, a crop on
two cores takes longer; the longer, the more is lost where others want a core (docs/serving.md)."""

_FATAL_ONLY = 4
"""Of onnxruntime's log: it raises what it logs as an error, and we say it once."""

_CANNOT_RUN = (
    state.EPFail,
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

    def __init__(
        self,
        network: str | bytes,
        spec: InputSpec,
        threads: int = 0,
        precision: Precision = "float32",
        apart: Sequence[int] = (),
    ) -> None:
        """`threads` run inside one call; 0 lets onnxruntime take every core. `apart` names a core
        for each, to keep it there: the caller's, during a run, on the first. Without, the system
        chooses.

        Raises BundleInvalid if the bytes are no network, or one of another signature.
        """
        self._session = session(network, threads, apart)
        self._on_its_core: Callable[[], AbstractContextManager[None]] = (
            partial(_keeping_to, apart[0], os.sched_getaffinity(0)) if apart else nullcontext
        )
        self.spec = spec
        self.precision = precision
        self._check_signature()

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 0, apart: Sequence[int] = ()) -> Self:
        """The bundle's network, warm, its golden vectors proved on this machine.

        Raises BundleInvalid if the network cannot be loaded or gives other vectors.
        """
        manifest = bundle.manifest
        embedder = cls(str(bundle.network), manifest.input, threads, manifest.precision, apart)
        embedder.check(bundle.golden)
        return embedder

    def admit(self, crops: int) -> None:
        """Any number is taken: who calls does the work."""

    def embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 [B, H, W, 3] RGB crops to float32 [B, D] unit vectors; B of any size."""
        parts = [self._run(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
        return np.concatenate([np.empty((0, self.spec.dim), np.float32), *parts])

    def golden(self, crops: npt.NDArray[np.uint8]) -> Golden:
        """Crops and the vectors that this network gives for them here.

        Raises BundleInvalid if it fails, or gives other than finite unit vectors of `dim`.
        """
        golden = Golden(crops, self._try(crops))
        golden.check(self.spec)
        return golden

    def check(self, golden: Golden) -> float:
        """The largest difference from the golden vectors.

        Raises BundleInvalid if it exceeds TOLERANCE or if anything is not finite.
        """
        golden.check(self.spec)
        vectors = self._try(golden.crops)
        if vectors.shape != golden.vectors.shape:
            raise BundleInvalid(
                f"the network gives vectors of shape {vectors.shape}; its golden vectors are "
                f"{golden.vectors.shape}"
            )
        check_unit(vectors, "a vector of the network")
        difference = float(np.abs(vectors - golden.vectors).max())
        if not difference <= TOLERANCE[self.precision]:
            raise BundleInvalid(
                f"the network misses its golden vectors by {difference:.2g} "
                f"(at most {TOLERANCE[self.precision]:g}); the bundle or onnxruntime is damaged"
            )
        return difference

    def _try(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        with refusing(f"cannot run on {len(crops)} crops"):
            return self.embed(crops)

    def _run(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        with self._on_its_core():
            (vectors,) = self._session.run(None, {INPUT: crops})
        return np.asarray(vectors, dtype=np.float32)

    def _check_signature(self) -> None:
        takes = [(value.name, value.type) for value in self._session.get_inputs()]
        gives = [(value.name, value.type) for value in self._session.get_outputs()]
        if takes != [(INPUT, "tensor(uint8)")] or gives != [(OUTPUT, "tensor(float)")]:
            raise BundleInvalid(
                f"the network takes {takes} and gives {gives}; a bundle's takes '{INPUT}' as uint8 "
                f"and gives '{OUTPUT}' as float"
            )
        self._check_shape(INPUT, self._session.get_inputs()[0].shape, self._crop)
        self._check_shape(OUTPUT, self._session.get_outputs()[0].shape, (self.spec.dim,))

    @property
    def _crop(self) -> tuple[int, ...]:
        return (self.spec.crop_height, self.spec.crop_width, 3)

    def _check_shape(self, name: str, found: list[int | str | None], one: tuple[int, ...]) -> None:
        """`found` has a number where a size is fixed; the batch's must not be."""
        fits = len(found) == 1 + len(one) and all(
            size == wanted or not isinstance(size, int)
            for size, wanted in zip(found[1:], one, strict=True)
        )
        if not fits or isinstance(found[0], int):
            raise BundleInvalid(
                f"the network's '{name}' has the shape {found}; by the manifest it should be "
                f"{['batch', *one]}"
            )


def session(
    network: str | bytes, threads: int = 0, apart: Sequence[int] = ()
) -> onnxruntime.InferenceSession:
    """A network, loaded from a file or from bytes. Raises BundleInvalid if it is none.

    `apart` are the cores of its threads, first the caller's, which is not kept on it here.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_MICROSECONDS))
    if apart:
        counted_from_one = ";".join(str(core + 1) for core in apart[1:])
        options.add_session_config_entry("session.intra_op_thread_affinities", counted_from_one)
    with refusing("cannot be loaded"):
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """What onnxruntime raises, as one line of BundleInvalid."""
    try:
        yield
    except _CANNOT_RUN as error:
        raise BundleInvalid(f"the network {what}: {' '.join(str(error).split())}") from None


@contextmanager
def _keeping_to(core: int, usual: set[int]) -> Iterator[None]:
    """This thread stays on a core, if that is still ours, and may be on all the usual ones after.

    Not on those that it finds: a container's cores may be fewer for a while, and Linux remembers
    what a thread asked for, not what it then got.
    """
    with suppress(OSError):  # the core was taken away, and the run is slower
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, usual)
