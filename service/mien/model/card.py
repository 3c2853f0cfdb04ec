"""The model card of a bundle: data, licence, results, limits, written from what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from mien.matching import support
from mien.matching.calibration import Calibration
from mien.matching.curve import Curve, CurvePoint
from mien.matching.support import SUPPORT_RULE
from mien.model.cost import Cost

RATES = (0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001)
"""False match rates that a card and `mien bundle inspect` tell of, where the data supports them."""

LIMITS = (
    "The rates hold for pictures like those they were measured on, and for people drawn as those "
    "were; other cameras, ages, groups of people or crops have other rates. Measure on your own "
    "pictures before you rely on them.",
    "A smallest supported FMR counts pairs of people as independent, which assumes that no few "
    "people cause the false matches; rely on the upper ends of the intervals, which are a little "
    "narrow where people are few.",
    "It decides about likeness only; it does not notice a photograph of a photograph.",
)

UNSEEN = "people whom the network never learned from"


@dataclass(frozen=True)
class Card:
    """What is to be told of a bundle."""

    name: str
    license: str
    data: Sequence[str]
    """Where the network comes from and what it learned from, a paragraph each."""
    calibration: Calibration | None = None
    measured_on: str = UNSEEN
    unmeasured: str = "Not measured: no people were held out."
    costs: Sequence[Cost] = ()
    notes: Sequence[str] = ()
    """Limits beyond those of every bundle."""

    def text(self) -> str:
        """Markdown, as `MODEL_CARD.md`."""
        sections = [
            f"# {self.name}",
            f"Licence of the weights: {self.license}",
            "## Data",
            *self.data,
            "## Results",
            *self._results(),
            *self._costs(),
            "## Limits",
            *LIMITS,
            *self.notes,
        ]
        return "\n\n".join(sections) + "\n"

    def _results(self) -> list[str]:
        if self.calibration is None:
            return [self.unmeasured]
        decides = "largest" if self.calibration.fusion == "max" else "mean"
        return [
            f"{self.calibration.identities} {self.measured_on}. They make "
            f"{self.calibration.pictures.identity_pairs:,} pairs of people; they support "
            f"{support.supported(self.calibration.identities)}, by the {SUPPORT_RULE}. "
            "Intervals are of 95 %, from resampling people. Of several samples of a subject the "
            f"{decides} similarity decides.",
            *(part for curve in self.calibration.curves for part in _table(curve)),
        ]

    def _costs(self) -> list[str]:
        if not self.costs:
            return []
        rows = [
            f"| {'EER' if cost.rate is None else f'FNMR at an FMR of {cost.rate:.2g}'} "
            f"| {cost.float32:.4f} | {cost.int8:.4f} | {cost.int8 - cost.float32:+.4f} |"
            for cost in self.costs
        ]
        return [
            "## Cost of int8",
            "The same pictures of the same held-out people, by the float32 network and by this "
            "one. Nothing is claimed about its speed: that depends on the processor.",
            "\n".join(["| rate | float32 | int8 | difference |", "|---|---|---|---|", *rows]),
        ]


def operating_points(curve: Curve) -> list[tuple[float, CurvePoint]]:
    """Each rate that is `supported`, and what the curve says of it."""
    return [(rate, curve.at_fmr(rate)) for rate in supported(curve)]


def supported(curve: Curve) -> list[float]:
    """RATES above the smallest that a curve supports, and that one."""
    smallest = curve.smallest_supported_fmr
    return [*(rate for rate in RATES if rate > smallest), smallest]


def _table(curve: Curve) -> list[str]:
    samples = "1 sample" if curve.samples == 1 else f"{curve.samples} samples"
    rows = [
        f"| {rate:.2g} | {point.threshold:.4f} "
        f"| {_share(point.fmr, point.fmr_lower95, point.fmr_upper95)} "
        f"| {_share(point.fnmr, point.fnmr_lower95, point.fnmr_upper95)} |"
        for rate, point in operating_points(curve)
    ]
    header = ["| FMR asked for | threshold | FMR measured | FNMR measured |", "|---|---|---|---|"]
    return [
        f"A subject of {samples}: {curve.identities} people, {curve.genuine_comparisons:,} genuine "
        f"and {curve.impostor_comparisons:,} impostor comparisons.",
        "\n".join([*header, *rows]),
    ]


def _share(rate: float, low: float, high: float) -> str:
    return f"{rate:.4f} ({low:.4f} to {high:.4f})"
