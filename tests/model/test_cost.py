"""What int8 costs travels with the bundle."""

from pathlib import Path

import pytest

from mien.errors import BundleInvalid
from mien.model.bundle import load
from mien.model.cost import Cost, costs_of, noted
from mien.model.manifest import read_manifest
from mien.model.summary import summary
from tests import bundles


def test_it_is_read_as_it_was_noted_and_changes_no_fingerprint(tmp_path: Path) -> None:
    bundle = bundles.in_int8(tmp_path / "b")
    assert costs_of(load(bundle.folder).manifest) == bundles.COSTS
    uncalibrated = bundles.uncalibrated(tmp_path / "other")
    assert bundle.manifest.fingerprint == uncalibrated.manifest.fingerprint


def test_a_bundle_that_does_not_know_has_none(tmp_path: Path) -> None:
    bundle = bundles.uncalibrated(tmp_path / "b")
    assert costs_of(bundle.manifest) == ()
    assert noted([]) == {}
    assert summary(bundle)["int8_cost"] is None


def test_inspect_has_each_cost(tmp_path: Path) -> None:
    told = summary(bundles.in_int8(tmp_path / "b"))["int8_cost"]
    assert told == [
        {"rate": None, "float32": 0.02, "int8": 0.03},
        {"rate": 0.01, "float32": 0.2, "int8": 0.15},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "cheap",
        '[{"rate":null,"float32":0.1}]',
        '[{"rate":null,"float32":0.1,"int8":"0.2"}]',
        '[{"rate":null,"float32":0.1,"int8":0.2,"speed":2}]',
        '[{"rate":null,"float32":0.1,"int8":NaN}]',
    ],
)
def test_an_odd_note_is_refused(tmp_path: Path, text: str) -> None:
    manifest = read_manifest(bundles.uncalibrated(tmp_path / "b").folder)
    with pytest.raises(BundleInvalid, match=r"has an odd int8_cost: .*; export the bundle again"):
        costs_of(manifest.changed(provenance={"int8_cost": text}))


def test_it_is_told_with_its_sign_in_no_unit_but_shares() -> None:
    assert noted([Cost(None, 0.5, 0.25)]) == {
        "int8_cost": '[{"rate":null,"float32":0.5,"int8":0.25}]'
    }
