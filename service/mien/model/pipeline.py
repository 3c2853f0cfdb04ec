"""Picture bytes to unit vectors: the one path, for serving, enrolling, evaluating and the CLI.

bytes --decode--> upright RGB --crop--> uint8 crop --embed--> unit vector
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mien import deadline, stages
from mien.errors import InvalidArgument
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.vision.crops import crop
from mien.vision.images import DEFAULT_LIMITS, RGB, Limits, decode


class Engine(Protocol):
    """What embeds crops: the network itself, or what gathers those of many callers for it."""

    def admit(self, crops: int) -> None:
        """Raise QueueFull if so many would not be taken now, before anything is spent on them."""

    def embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 [B, H, W, 3] RGB crops to float32 [B, D] unit vectors."""


class Pipeline:
    """A bundle at work. Safe to call from several threads.

    Pictures are decoded and cropped in the thread that calls; `engine` embeds the crops. A caller's
    deadline (`mien.deadline`) is read before each: then DeadlineExceeded or CallerGone is raised.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        engine: Engine | None = None,
    ) -> None:
        self.bundle = bundle
        self._engine: Engine = engine or Embedder.of(bundle, threads)
        self._limits = limits

    def embed(self, picture: bytes) -> Vectors:
        """One picture's float32 [D] unit vector. Raises what is wrong with the picture."""
        self._engine.admit(1)
        (vector,) = self._embed(self._crop(picture)[None])
        return np.asarray(vector)

    def embed_each(self, pictures: Sequence[bytes]) -> list[Vectors | InvalidArgument]:
        """Each picture's vector, or what is wrong with it, in order; one network call for all."""
        self._engine.admit(len(pictures))
        outcomes: list[RGB | InvalidArgument] = [self._try_crop(picture) for picture in pictures]
        crops = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
        vectors = iter(self._embed(np.stack(crops)) if crops else ())
        return [
            outcome if isinstance(outcome, InvalidArgument) else next(vectors)
            for outcome in outcomes
        ]

    def _embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        deadline.check("embed")
        with stages.timed("embed"):
            return self._engine.embed(crops)

    def _try_crop(self, picture: bytes) -> RGB | InvalidArgument:
        try:
            return self._crop(picture)
        except InvalidArgument as error:
            return error

    def _crop(self, picture: bytes) -> RGB:
        deadline.check("decode the picture")
        spec = self.bundle.manifest.input
        with stages.timed("decode"):
            return crop(decode(picture, self._limits), spec.crop_height, spec.crop_width)
