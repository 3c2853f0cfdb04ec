"""Picture bytes to unit vectors: the one path, for serving, enrolling, evaluating and the CLI.

bytes --decode--> upright RGB --crop--> uint8 crop --embed--> unit vector
"""

from collections.abc import Sequence

import numpy as np

from mien.errors import InvalidArgument
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.vision.crops import crop
from mien.vision.images import DEFAULT_LIMITS, RGB, Limits, decode


class Pipeline:
    """A bundle at work. Safe to call from several threads."""

    def __init__(self, bundle: Bundle, threads: int = 0, limits: Limits = DEFAULT_LIMITS) -> None:
        self.bundle = bundle
        self._embedder = Embedder.of(bundle, threads)
        self._limits = limits

    def embed(self, picture: bytes) -> Vectors:
        """One picture's float32 [D] unit vector. Raises what is wrong with the picture."""
        (vector,) = self._embedder.embed(self._crop(picture)[None])
        return np.asarray(vector)

    def embed_each(self, pictures: Sequence[bytes]) -> list[Vectors | InvalidArgument]:
        """Each picture's vector, or what is wrong with it, in order; one network call for all."""
        outcomes: list[RGB | InvalidArgument] = [self._try_crop(picture) for picture in pictures]
        crops = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
        vectors = iter(self._embedder.embed(np.stack(crops)) if crops else ())
        return [
            outcome if isinstance(outcome, InvalidArgument) else next(vectors)
            for outcome in outcomes
        ]

    def _try_crop(self, picture: bytes) -> RGB | InvalidArgument:
        try:
            return self._crop(picture)
        except InvalidArgument as error:
            return error

    def _crop(self, picture: bytes) -> RGB:
        spec = self.bundle.manifest.input
        return crop(decode(picture, self._limits), spec.crop_height, spec.crop_width)
