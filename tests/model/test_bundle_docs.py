"""docs/bundle.md tells of every claim, option, key and number that there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.cli.bundle import bundle as commands
from mien.model.bundle import Bundle
from mien.model.foreign.preprocessing import SCALES
from mien.model.foreign.trial import ALIKE, CLEARLY, FEWEST_PEOPLE, HALVES
from mien.model.golden import TOLERANCE
from mien.model.proof import BATCHES, prove
from mien.model.summary import summary
from mien_training import quantise

TEXT = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text()


def test_every_claim_is_told_in_its_order(bundle: Bundle) -> None:
    table = TEXT.partition("| claim | it holds if |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| `([a-z ]+)` \|", table, re.M)
    assert told == [proof.claim for proof in prove(bundle.folder, 1)]
    assert f"batches of {', '.join(map(str, BATCHES[:-1]))} and {BATCHES[-1]}" in TEXT


def test_every_option_of_import_is_told() -> None:
    for parameter in commands.commands["import"].params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert option in TEXT, option
    for scale in SCALES:
        assert f"`{scale}`" in TEXT


def test_every_file_and_every_key_of_the_summary_is_told(bundle: Bundle) -> None:
    told = summary(bundle)
    for key in keys({**told, "bytes": {}, "provenance": {}}):
        assert f"`{key}`" in TEXT, key
    for name in told["bytes"]:
        assert f"`{name}`" in TEXT, name


def keys(value: dict[str, Any]) -> Iterator[str]:
    """Down to the curves, whose own keys are those of calibration.json."""
    for key, inner in value.items():
        yield key
        if isinstance(inner, dict):
            yield from keys(inner)


def test_the_numbers_of_its_rules_are_those_of_the_code() -> None:
    assert f"at least {CLEARLY:.0%}".replace("%", " %") in TEXT
    assert f"of {HALVES} random halves" in TEXT
    assert f"mean cosine {ALIKE}" in TEXT
    assert f"Fewer than {FEWEST_PEOPLE} people" in TEXT
    assert f"ranges from {quantise.CROPS} crops of training" in TEXT
    assert f"For `int8` it is {TOLERANCE['int8']}" in TEXT
    assert TOLERANCE["float32"] == 1e-4
    assert "differ by 1e-4" in TEXT
