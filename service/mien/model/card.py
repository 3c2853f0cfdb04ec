"""The model card of a bundle: data, licence, results, limits, written from what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from mien.matching.calibration import Calibration, CurvePoint

RATES = (0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001)
"""False match rates that a card and `mien bundle inspect` tell of, where the data supports them."""

LIMITS = (
    "The rates hold for pictures like those they were measured on, and for people drawn as those "
    "were; other cameras, ages, groups of people or crops have other rates. Measure on your own "
    "pictures before you rely on them.",
    "It decides about likeness only; it does not notice a photograph of a photograph.",
)

UNSEEN = "people whom the network never learned from"


@dataclass(frozen=True)
class Cost:
    """What another precision costs, on the same held-out people.

    A rate of None is the equal error rate; else the rate is an FMR and the values are the FNMR.
    """

    rate: float | None
    float32: float
    int8: float


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
        return [
            f"{self.calibration.identities} {self.measured_on}: "
            f"{self.calibration.genuine_comparisons:,} genuine and "
            f"{self.calibration.impostor_comparisons:,} impostor comparisons. An FMR below "
            f"{self.calibration.smallest_supported_fmr:.2g} is not supported by so few. "
            "Intervals are of 95 %, from resampling people.",
            "\n".join([*HEADER, *(row(*point) for point in operating_points(self.calibration))]),
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


HEADER = (
    "| FMR asked for | threshold | FMR measured | upper end (95 %) | FNMR |",
    "|---|---|---|---|---|",
)


def row(rate: float, point: CurvePoint) -> str:
    """A line of the table under HEADER."""
    return (
        f"| {rate:.2g} | {point.threshold:.4f} | {point.fmr:.2g} | {point.fmr_upper95:.2g} "
        f"| {point.fnmr:.4f} |"
    )


def operating_points(calibration: Calibration) -> list[tuple[float, CurvePoint]]:
    """Each rate that is `supported`, and what the curve says of it."""
    return [(rate, calibration.at_fmr(rate)) for rate in supported(calibration)]


def supported(calibration: Calibration) -> list[float]:
    """RATES above the smallest that the calibration supports, and that one."""
    smallest = calibration.smallest_supported_fmr
    return [*(rate for rate in RATES if rate > smallest), smallest]
