"""Same person or not: all pairs of pictures of people who were not learned from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mien.matching.metrics import Comparisons, People, Rates, Similarities, Vectors, eers
from mien.matching.paired import in_resamples
from mien.matching.resampling import Pairs
from mien_training.data import Crops
from mien_training.embed import embed
from mien_training.networks.embedding import EmbeddingNetwork


@dataclass(frozen=True)
class Verified:
    """Every picture with every other one, once."""

    similarities: Similarities
    """float32 [M], cosines."""
    pairs: Pairs

    @classmethod
    def of(cls, vectors: Vectors, people: People) -> "Verified":
        """Unit vectors [N, D], and whose they are [N]."""
        first, second = np.triu_indices(len(vectors), k=1)
        return cls((vectors @ vectors.T)[first, second], Pairs(people[first], people[second]))

    @classmethod
    def by(cls, network: EmbeddingNetwork, crops: Crops) -> "Verified":
        """A network in evaluation, on unseen people.

        Of one that exploded, which tells nobody apart, the similarities are all 0.
        """
        vectors = embed(network, crops.images)
        return cls.of(np.where(np.isfinite(vectors), vectors, np.float32(0)), crops.labels)

    @property
    def comparisons(self) -> Comparisons:
        same = self.pairs.same
        return Comparisons(self.similarities[same], self.similarities[~same])

    @property
    def eer(self) -> float:
        return self.comparisons.eer()

    @cached_property
    def resampled_eers(self) -> Rates:
        """[1 + resamples]: as measured, and in resamples of the people; it takes seconds."""
        rates: Rates = in_resamples(self.similarities, self.pairs, (eers,))[0]
        return rates
