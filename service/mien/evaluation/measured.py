"""One bundle's comparisons, and what was decided of pairs."""

from dataclasses import dataclass
from typing import Self

from mien.evaluation.acquisition import acquisition
from mien.evaluation.compared import AllPairs, Compared, ListedPairs
from mien.evaluation.contract import Against, EvaluatedBundle, Int8Cost, Lfw
from mien.evaluation.difference import differences, drawn_trials
from mien.evaluation.lfw import Decided, decide_pairs
from mien.evaluation.samples import Samples
from mien.evaluation.sources import Source
from mien.evaluation.trials import Trials
from mien.evaluation.verification import verification
from mien.model.bundle import Bundle
from mien.model.cost import ORIGIN, costs_of


@dataclass(frozen=True)
class Measured:
    """`decided` is None unless the pairs come from a file."""

    bundle: Bundle
    samples: Samples
    compared: Compared
    decided: Decided | None
    seed: int

    @classmethod
    def of(cls, bundle: Bundle, source: Source, samples: Samples, seed: int) -> Self:
        """Compare the samples as their source says. Raises DatasetInvalid if nothing is left."""
        if source.pairs is None:
            return cls(bundle, samples, AllPairs(samples, seed), None, seed)
        listed = ListedPairs(samples, Trials.of(source.pairs, samples), seed)
        decided = decide_pairs(listed, source.pairs.folds, bundle.calibration, seed)
        return cls(bundle, samples, listed, decided, seed)

    @property
    def lfw(self) -> Lfw | None:
        return None if self.decided is None else self.decided.section

    @property
    def left_out_pairs(self) -> int:
        compared = self.compared
        return compared.trials.left_out if isinstance(compared, ListedPairs) else 0

    def listed(self) -> ListedPairs:
        """The pairs of the file, or pairs drawn from all."""
        if isinstance(self.compared, ListedPairs):
            return self.compared
        return ListedPairs(self.samples, drawn_trials(self.samples, self.seed), self.seed)

    def against(self, other: Self, middle: float | None = None) -> Against:
        """The other's section beside this one; both hold the same pictures in the same order.

        `middle`: it saw this share of each picture, and no detector did.
        """
        this_listed, other_listed = self.listed(), other.listed()
        decided = (
            None if self.decided is None or other.decided is None else (self.decided, other.decided)
        )
        return Against(
            bundle=named(other.bundle),
            middle=middle,
            acquisition=acquisition(other.samples),
            verification=verification(other.compared)[0],
            lfw=other.lfw,
            compared_pairs=len(this_listed.similarities),
            differences=differences(this_listed, other_listed, decided, self.seed),
        )


def named(bundle: Bundle) -> EvaluatedBundle:
    """Which bundle it was. Raises BundleInvalid: what it says of the cost of int8 is odd."""
    manifest, calibration = bundle.manifest, bundle.calibration
    costs = [
        Int8Cost(target_fmr=cost.rate, float32=cost.float32, int8=cost.int8)
        for cost in costs_of(manifest)
    ]
    return EvaluatedBundle(
        name=manifest.name,
        fingerprint=manifest.fingerprint,
        calibration_id=None if calibration is None else calibration.calibration_id,
        precision=manifest.precision,
        float32_fingerprint=manifest.provenance.get(ORIGIN),
        int8_cost=costs or None,
    )
