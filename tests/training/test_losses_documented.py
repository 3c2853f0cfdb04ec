"""docs/losses.md names every loss, head, selection and augmentation with its defaults."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from mien_training.config.augmentation import Augmentation
from mien_training.config.losses import Head, Losses, Selection

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"


def rows() -> dict[str, str]:
    lines = PAGE.read_text().splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


def models() -> dict[str, type[BaseModel]]:
    """Every key or kind and its model."""
    found: dict[str, type[BaseModel]] = {}
    for table in (Losses, Augmentation):
        for key, field in table.model_fields.items():
            found[key] = get_args(field.annotation)[0]
    for union in (Head, Selection):
        for model in get_args(get_args(union)[0]):
            found[model.model_fields["kind"].annotation.__args__[0]] = model
    return found


def test_every_key_has_a_row_and_every_row_a_key() -> None:
    assert set(rows()) == set(models())


@pytest.mark.parametrize("key", models())
def test_a_row_has_the_defaults(key: str) -> None:
    row = rows()[key]
    for name, field in models()[key].model_fields.items():
        default = getattr(field.default, "kind", field.default)
        if name == "kind" or (name == "probability" and default == 0.5):
            continue
        if isinstance(default, bool):
            default = str(default).lower()
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert f"`{name}`" in row
        said = row.split(f"`{name}`")[1].split("`")[0]
        assert shown in said
