"""What an experiment found, as result.json keeps it: strict, without a path or a host's name."""

import json
from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean
from typing import Self

from pydantic import BaseModel, ConfigDict

DIGITS = 6
"""Significant digits of what is only drawn."""


class Part(BaseModel):
    """A part of the file; an unknown key, another type or a number that is not finite is refused.

    Where something explodes to infinity, write how far it came and that it did not go on.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Row(Part):
    """What was measured in one setting with one seed."""

    setting: str
    seed: int
    figures: dict[str, float]
    """By name with unit, such as "test error (%)"."""


class Table(Part):
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]
    means: dict[str, dict[str, float]]
    """Over the seeds, by setting and figure."""

    @classmethod
    def of(cls, title: str, rows: Sequence[Row]) -> Self:
        by_setting: dict[str, dict[str, list[float]]] = {}
        for row in rows:
            for name, value in row.figures.items():
                by_setting.setdefault(row.setting, {}).setdefault(name, []).append(value)
        means = {
            setting: {name: fmean(values) for name, values in figures.items()}
            for setting, figures in by_setting.items()
        }
        return cls(title=title, rows=tuple(rows), means=means)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of all columns, in the order in which they first occur."""
        return tuple({name: None for figures in self.means.values() for name in figures})

    def seeds_of(self, setting: str, figure: str) -> list[float]:
        """The values of a figure, in the order of the rows."""
        return [
            row.figures[figure]
            for row in self.rows
            if row.setting == setting and figure in row.figures
        ]


class Curve(Part):
    """A line that was drawn."""

    panel: str
    setting: str
    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def of(cls, panel: str, setting: str, x: Sequence[float], y: Sequence[float]) -> Self:
        return cls(panel=panel, setting=setting, x=_rounded(x), y=_rounded(y))


class Comparison(Part):
    """The second setting's figure less the first one's, with a 95 % interval."""

    figure: str
    first: str
    second: str
    first_value: float
    second_value: float
    difference: float
    low: float
    high: float
    p_value: float
    resampled: str
    """What was drawn again, such as "599 test pictures and 3 seeds"."""


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


class Finding(Part):
    verdict: Verdict
    sentence: str
    """Made from the numbers of the tables and comparisons."""


class Record(Part):
    """The whole of result.json."""

    name: str
    title: str
    claim: str
    rule: str
    data: str
    full: bool
    seeds: tuple[int, ...]
    epochs: int
    tables: tuple[Table, ...]
    comparisons: tuple[Comparison, ...]
    curves: tuple[Curve, ...]
    finding: Finding
    seconds: float
    versions: dict[str, str]

    @classmethod
    def read(cls, content: bytes) -> Self:
        return cls.model_validate_json(content)

    def written(self) -> bytes:
        """A line for each key."""
        values = self.model_dump(mode="json").items()
        lines = [f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in values]
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
