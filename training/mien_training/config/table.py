"""What every table of a recipe has in common."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]

LEAST_SIDE, LARGEST_SIDE = 16, 1024
"""Pixels, of a crop."""


class Settings(BaseModel):
    """A table of a recipe: a key that is unknown, of another type or out of range is refused."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
