"""`mien bundle` as a person types it: real processes; a bad bundle is refused in a sentence."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.errors import BundleInvalid
from mien.model.bundle import Bundle, load
from mien.model.embedder import Embedder
from mien.model.golden import Golden, golden_crops
from mien.model.manifest import read_manifest
from mien.model.proof import BATCHES, prove
from tests import bundles
from tests.faces import SIDE, folder_of_people
from tests.model.foreign.networks import HEIGHT, WIDTH, build, write
from tests.processes import run

CLAIMS = [
    "manifest",
    "seal",
    "digests",
    "fingerprint",
    "calibration",
    "golden file",
    "signature",
    "golden vectors",
    "unit vectors",
    "alone or in a batch",
]
CROPS = golden_crops(SIDE, SIDE)


def refused(finished: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refusal."""
    assert finished.returncode == 2, finished
    (sentence,) = finished.stderr.strip().splitlines()
    return sentence


def test_a_whole_bundle_is_proved_claim_by_claim(bundle: Bundle) -> None:
    told = run("mien", "bundle", "check", bundle.folder)
    assert told.returncode == 0, told
    assert [re.split(r"\s{2,}", line)[1] for line in told.stdout.splitlines()] == CLAIMS
    assert all(line.startswith("ok  ") for line in told.stdout.splitlines())
    assert f"batches of {', '.join(map(str, BATCHES))}" in told.stdout
    as_json = json.loads(run("mien", "bundle", "check", bundle.folder, "--json").stdout)
    assert as_json["ok"] is True
    assert list(as_json["proved"]) == CLAIMS


def newer(source: Path, folder: Path) -> None:
    edit(source, folder, lambda text: text.replace("mien-bundle/1", "mien-bundle/2"))


def edited(source: Path, folder: Path) -> None:
    edit(source, folder, lambda text: text.replace("Apache-2.0", "MIT"))


def with_odd_key(source: Path, folder: Path) -> None:
    edit(source, folder, lambda text: text.replace('"license"', '"licence"'))


def edit(source: Path, folder: Path, change: Callable[[str], str]) -> None:
    shutil.copytree(source, folder)
    path = folder / "manifest.json"
    path.write_text(change(path.read_text()))


def with_swapped_network(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder)
    (folder / "model.onnx").write_bytes(bundles.network(seed=1))


def with_swapped_network_listed(source: Path, folder: Path) -> None:
    kept = read_manifest(source).fingerprint
    bundles.altered(source, folder, model_onnx=bundles.network(seed=1))
    changed = read_manifest(folder).changed(fingerprint=kept)
    (folder / "manifest.json").write_bytes(changed.to_bytes())


def with_swapped_network_sealed(source: Path, folder: Path) -> None:
    uncalibrated(source, folder, model_onnx=bundles.network(seed=1))


def without_numbers(source: Path, folder: Path) -> None:
    uncalibrated(source, folder, model_onnx=bundles.without_numbers())


def with_no_network(source: Path, folder: Path) -> None:
    uncalibrated(source, folder, model_onnx=b"no network")


def with_golden(crops: np.ndarray, vectors: np.ndarray) -> Callable[[Path, Path], None]:
    content = Golden(crops, vectors).to_bytes()
    return lambda source, folder: uncalibrated(source, folder, golden_npz=content)


def uncalibrated(source: Path, folder: Path, **files: bytes) -> None:
    """A calibration would be found to be another model's first."""
    bundles.altered(source, folder, **files)
    manifest = read_manifest(folder)
    others = {name: sha for name, sha in manifest.files.items() if name != "calibration.json"}
    (folder / "manifest.json").write_bytes(manifest.changed(files=others).to_bytes())


def unit(count: int, dim: int) -> np.ndarray:
    return np.eye(count, dim, dtype=np.float32)


BAD: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a newer format": (newer, "was made by a newer mien: its format is 'mien-bundle/2'.*upgrade"),
    "an edited manifest": (edited, r"manifest\.json was changed after the bundle was sealed"),
    "an odd key": (with_odd_key, r"manifest\.json is damaged: license: Field required"),
    "a swapped network": (with_swapped_network, r"model\.onnx was changed after"),
    "a swapped network in an own manifest": (
        with_swapped_network_listed,
        "the fingerprint [0-9a-f]{12}… is not that of its network and input",
    ),
    "a swapped network in an own seal": (
        with_swapped_network_sealed,
        "the network misses its golden vectors by",
    ),
    "a network that gives NaN": (without_numbers, "a vector of the network is not finite"),
    "no network": (with_no_network, "the network cannot be loaded"),
    "golden crops of a wrong size": (
        with_golden(CROPS[:, :20], unit(8, bundles.DIM)),
        r"golden array is uint8 \(8, 20, 48, 3\); by the manifest it should be uint8 \(8, 48, 48",
    ),
    "golden vectors of a wrong size": (
        with_golden(CROPS, unit(8, 9)),
        r"golden array is float32 \(8, 9\); by the manifest it should be float32 \(8, 16\)",
    ),
    "golden vectors too few": (
        with_golden(CROPS, unit(3, bundles.DIM)),
        r"golden array is float32 \(3, 16\)",
    ),
    "golden vectors that are no numbers": (
        with_golden(CROPS, np.full((8, bundles.DIM), np.nan, np.float32)),
        "a golden vector is not finite: 128 of 128 values",
    ),
    "golden vectors of no unit norm": (
        with_golden(CROPS, 2 * unit(8, bundles.DIM)),
        "a golden vector has norm 2, not 1 within 0.001",
    ),
    "a golden file that is none": (
        lambda source, folder: uncalibrated(source, folder, golden_npz=b"PK\3\4 cut"),
        r"golden\.npz is damaged",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_bundle_is_refused_in_one_sentence(bundle: Bundle, tmp_path: Path, name: str) -> None:
    make, sentence = BAD[name]
    make(bundle.folder, tmp_path / "bad")
    with pytest.raises(BundleInvalid, match=sentence):
        Embedder.of(load(tmp_path / "bad"), threads=1)
    with pytest.raises(BundleInvalid, match=sentence):
        list(prove(tmp_path / "bad", threads=1))
    told = refused(run("mien", "bundle", "check", tmp_path / "bad"))
    assert told.startswith("mien bundle: ")
    assert re.search(sentence, told), told


def test_a_bad_bundle_is_told_of_in_json_too(bundle: Bundle, tmp_path: Path) -> None:
    without_numbers(bundle.folder, tmp_path / "bad")
    finished = run("mien", "bundle", "check", tmp_path / "bad", "--json")
    assert finished.returncode == 2
    assert finished.stderr == ""
    told = json.loads(finished.stdout)
    assert told["ok"] is False
    assert "not finite" in told["error"]
    assert list(told["proved"]) == CLAIMS[:7]


def test_inspect_tells_a_newcomer_what_is_in_a_bundle(bundle: Bundle) -> None:
    assert bundle.calibration
    printed = run("mien", "bundle", "inspect", bundle.folder).stdout
    for told in (
        "projection-0",
        "Apache-2.0",
        "mien-bundle/1",
        bundle.manifest.fingerprint,
        "RGB crops of 48×48, scaled only, not aligned",
        "unit vectors of 16 numbers, computed in float32",
        f"{bundle.network.stat().st_size:,} bytes",
        f"{bundle.calibration.identities} people, who support an FMR of 0.0038 and above",
        "with 1 sample, at an FMR of",
        "made                   by code",
    ):
        assert told in printed, told


def test_inspect_says_the_same_in_json(bundle: Bundle) -> None:
    told = json.loads(run("mien", "bundle", "inspect", bundle.folder, "--json").stdout)
    assert told["fingerprint"] == bundle.manifest.fingerprint
    assert told["crop"] == {"height": 48, "width": 48}
    assert told["bytes"]["model.onnx"] == bundle.network.stat().st_size
    assert bundle.calibration
    assert told["calibration"]["identities"] == bundle.calibration.identities
    first = told["calibration"]["curves"][0]["operating_points"][0]
    assert first["target_fmr"] == 0.1
    assert first["fmr"] <= 0.1
    assert told["provenance"] == {"made": "by code"}


def test_inspect_says_that_nothing_was_measured(tmp_path: Path) -> None:
    bundles.uncalibrated(tmp_path / "b")
    printed = run("mien", "bundle", "inspect", tmp_path / "b").stdout
    assert "none: it can promise no error rate" in printed
    assert refused(run("mien", "bundle", "inspect", tmp_path)).endswith("it has no manifest.json")


def imported(network: Path, out: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return run("mien", "bundle", "import", network, "--out", out, *options)


def test_a_network_of_which_everything_is_said_is_imported(tmp_path: Path) -> None:
    network = write(tmp_path, build(batch=1, rows=1, size=("h", "w")))
    people = folder_of_people(tmp_path / "people", people=4, shots=3)
    finished = imported(
        network, tmp_path / "b", "--channels", "bgr", "--mean", "104,117,123", "--std", "1",
        "--size", f"{HEIGHT}x{WIDTH}", "--flip", "--license", "MIT", "--people", people,
    )  # fmt: skip
    assert finished.returncode == 0, finished
    assert "preprocessing: nchw, bgr, (pixel - [104, 117, 123]) / 1" in finished.stdout
    assert "calibrated on 4 people, who support an FMR of 0.5 and above" in finished.stdout
    assert run("mien", "bundle", "check", tmp_path / "b").returncode == 0
    told = json.loads(run("mien", "bundle", "inspect", tmp_path / "b", "--json").stdout)
    assert (told["name"], told["license"]) == ("b", "MIT")
    assert told["provenance"]["imported_from"] == "net.onnx"
    assert told["provenance"]["preprocessing_known_by"] == "statement"
    assert str(tmp_path) not in json.dumps(told)


def test_a_picture_that_is_none_is_left_out_of_an_import_and_told_of(tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=3, shots=3)
    (people / "person-1" / "0.png").write_bytes(b"rubbish")
    said = ("--channels", "rgb", "--scale", "raw", "--people", people)
    finished = imported(write(tmp_path), tmp_path / "b", *said)
    assert finished.returncode == 0, finished
    assert "1 pictures left out, unusable: person-1/0.png (IMAGE_UNDECODABLE)" in finished.stdout
    few = "calibrated on 3 people, who support no FMR below 1 (it takes 6 more for 1 in 10, 22 more"
    assert few in finished.stdout
    card = (tmp_path / "b" / "MODEL_CARD.md").read_text()
    assert "1 of the 9 pictures could not be used and were left out: 1 IMAGE_UNDECODABLE." in card
    assert "person-1" not in card
    assert "support no FMR below 1" in run("mien", "bundle", "inspect", tmp_path / "b").stdout
    for picture in people.rglob("*.png"):
        picture.write_bytes(b"rubbish")
    sentence = refused(imported(write(tmp_path), tmp_path / "c", *said))
    assert "none of the 9 pictures can be used" in sentence
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "say --channels, --scale: how the network was fed is not in its file"),
        (("--scale", "unit"), "say --channels: "),
        (("--scale", "unit", "--mean", "1", "--std", "1"), "--scale excludes --mean and --std"),
        (("--mean", "1"), "--mean and --std go together"),
        (("--mean", "1,2", "--std", "1"), "'1,2' is neither a number nor three, as R,G,B"),
        (("--mean", "0", "--std", "0"), "divides by 0"),
        (("--size", "112"), "'112' is no size; write it as HxW"),
        (("--size", "112x112"), "--size 112x112 is not that of the network, 12x10"),
        (("--layout", "nhwc"), r"--layout nhwc is not that of the network: it takes \['batch', 3"),
        (("--alignment", "tarot"), "'tarot' is not one of: none"),
        (("--output", "logits"), "has no output 'logits'"),
        (("--people", "nowhere"), "nowhere is no folder"),
    ],
)
def test_what_is_not_said_or_contradicts_the_network_is_refused(
    tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    finished = imported(write(tmp_path), tmp_path / "b", *options)
    assert finished.returncode == 2
    assert re.search(sentence, finished.stderr.strip().splitlines()[-1]), finished.stderr
    assert not (tmp_path / "b").exists()


def test_a_network_that_gives_nan_is_not_imported(tmp_path: Path) -> None:
    model = build()
    weights = next(each for each in model.graph.initializer if each.name == "weights")
    weights.CopyFrom(
        onnx.numpy_helper.from_array(np.full(weights.dims, np.nan, np.float32), "weights")
    )
    finished = imported(
        write(tmp_path, model), tmp_path / "b", "--channels", "rgb", "--scale", "raw"
    )
    assert "a golden vector is not finite" in refused(finished)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_without_onnx_the_command_says_what_to_install(tmp_path: Path) -> None:
    arguments = ["bundle", "import", str(write(tmp_path)), "--out", str(tmp_path / "b")]
    code = (
        f"import sys; sys.modules['onnx'] = None; from mien.cli.main import main; main({arguments})"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "needs the package onnx; pip install 'mien[import]'" in refused(finished)


def test_what_serves_never_imports_onnx() -> None:
    code = (
        "import sys, mien.cli.main, mien.client, mien.server.server, mien.model.proof, "
        "mien.model.summary, mien.model.sealing, mien.cli.bundle_import\n"
        "print('onnx' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert finished.stdout == "False\n"
