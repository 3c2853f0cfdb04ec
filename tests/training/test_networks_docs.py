"""docs/networks.md names every network, key and default, and the weights it counts are right."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from mien_training import networks
from mien_training.config.layers import Initialisation
from mien_training.config.networks import Network, smallest_side
from mien_training.config.recipe import Recipe
from mien_training.config.table import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
KINDS: dict[str, type[Settings]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model
    for model in get_args(get_args(Network)[0])
}
SHARED = {"kind", "drop_connect", "initialisation"}


def rows(key: str) -> list[list[str]]:
    """The cells of each row of a table that has `key` for a cell."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
    return [row for row in cells if f"`{key}`" in row]


def recipe(kind: str) -> Recipe:
    tables = {"network": {"kind": kind}, "losses": {"softmax": {}}}
    return Recipe.model_validate_json(json.dumps(tables))


@pytest.mark.parametrize("kind", KINDS)
def test_its_weights_and_smallest_crop_are_those_of_the_table(kind: str) -> None:
    row = rows(kind)[0]
    backbone = networks.build(recipe(kind)).backbone
    assert row[3] == f"{sum(weight.numel() for weight in backbone.parameters()):,}"
    assert row[5] == str(max(16, smallest_side(recipe(kind).network) or 0))


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_of_its_own_is_there_with_its_default(kind: str) -> None:
    table = PAGE.split("Of one network:")[1]
    section = re.split(r"^\| `\w", table[table.index(f"| `{kind}` |") + 3 :], flags=re.MULTILINE)[0]
    own = set(KINDS[kind].model_fields) - SHARED
    for name in own - ({"dropout"} if kind != "siamese" else set()):
        default = json.dumps(KINDS[kind].model_fields[name].default)
        assert re.search(rf"\| `{name}` \| {re.escape(default)} \|", section), name


@pytest.mark.parametrize("name", ["dropout", "drop_connect", "initialisation"])
def test_a_key_of_every_network_is_there(name: str) -> None:
    assert rows(name)


@pytest.mark.parametrize("model", get_args(get_args(Initialisation)[0]))
def test_each_first_weights_are_there_with_their_default(model: type[Settings]) -> None:
    (key,) = model.model_fields.keys() - {"kind"}
    (row,) = rows(get_args(model.model_fields["kind"].annotation)[0])
    assert row[2].startswith(f"`{key}`")
    assert json.dumps(model.model_fields[key].default) == row[3].strip("`")
