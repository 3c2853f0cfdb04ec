import json
import shutil
from pathlib import Path

import pytest

from mien.errors import BundleInvalid, OutputExists
from mien.matching.calibration import calibrate as measure
from mien.model.bundle import Bundle, load
from mien.model.golden import golden_crops
from mien.model.manifest import fingerprint, read_manifest
from mien.model.sealing import calibrate, seal
from tests import bundles
from tests.matching.test_calibration import vectors_of_people


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "copy"))


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_sealed_bundle_loads_as_it_was_made(tmp_path: Path) -> None:
    draft = bundles.draft()
    loaded = load(seal(draft, tmp_path / "b").folder)
    assert loaded.manifest.name == draft.name
    assert loaded.manifest.input == draft.input
    assert loaded.network.read_bytes() == draft.network
    assert (loaded.golden.crops == golden_crops(48, 48)).all()
    assert loaded.calibration is None


def test_sealing_never_overwrites(tmp_path: Path) -> None:
    bundles.uncalibrated(tmp_path / "b")
    with pytest.raises(OutputExists, match="choose another name"):
        bundles.uncalibrated(tmp_path / "b")


def test_a_bundle_that_could_not_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mien.model.sealing._write", full)
    with pytest.raises(OSError, match="No space"):
        bundles.uncalibrated(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "calibration.json", "MODEL_CARD.md"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleInvalid, match=rf"{name} cannot be read \(No such file"):
        load(copy)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "calibration.json", "MODEL_CARD.md"])
def test_a_changed_file_is_named(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleInvalid, match=f"{name} was changed"):
        load(copy)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="is no bundle"):
        load(tmp_path)
    with pytest.raises(BundleInvalid, match="nowhere is no bundle: there is no such folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"license": "MIT"}, "manifest.json was changed"),
        (
            {"format": "mien-bundle/9"},
            "made by a newer mien: its format is 'mien-bundle/9'.*upgrade",
        ),
        ({"format": "mien-bundle/0"}, "has the format 'mien-bundle/0'; this mien reads"),
        ({"format": "mien-bundle/x"}, "has the format 'mien-bundle/x'; this mien reads"),
        ({"format": ["mien-bundle/9"]}, "has the format"),
        ({"precision": "int4"}, "precision: Input should be 'float32' or 'int8'"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"name": 7}, "name: Input should be a valid string"),
        ({"files": {}}, "manifest.json was changed"),
    ],
)
def test_an_edited_manifest_is_refused(
    copy: Path, changes: dict[str, object], message: str
) -> None:
    edit_manifest(copy, **changes)
    with pytest.raises(BundleInvalid, match=message):
        load(copy)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"format": "mien-bundle/1"}'])
def test_a_damaged_manifest_is_refused(copy: Path, content: str) -> None:
    (copy / "manifest.json").write_text(content)
    with pytest.raises(BundleInvalid, match=r"manifest\.json is damaged"):
        load(copy)


def test_a_manifest_without_a_format_says_which_key_it_lacks(copy: Path) -> None:
    (copy / "manifest.json").write_text("{}")
    with pytest.raises(
        BundleInvalid, match=r"manifest\.json is damaged: it lacks the key 'format'"
    ):
        load(copy)


def test_the_fingerprint_changes_with_all_that_makes_vectors_comparable() -> None:
    spec = bundles.SPEC
    prints = {
        fingerprint("a", spec),
        fingerprint("b", spec),
        fingerprint("a", spec.model_copy(update={"crop_height": 49})),
        fingerprint("a", spec.model_copy(update={"crop_width": 49})),
        fingerprint("a", spec.model_copy(update={"dim": 17})),
    }
    assert len(prints) == 5


def test_calibrating_keeps_the_fingerprint(tmp_path: Path, bundle: Bundle) -> None:
    before = bundles.uncalibrated(tmp_path / "b")
    assert before.manifest.fingerprint == bundle.manifest.fingerprint
    assert bundle.calibration is not None


def test_a_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    foreign = measure(*vectors_of_people(), "another model")
    with pytest.raises(BundleInvalid, match="another model"):
        calibrate(bundles.uncalibrated(tmp_path / "b"), foreign, card="")


def test_a_calibration_of_an_older_mien_is_refused_with_what_to_do(copy: Path) -> None:
    older = json.dumps({"calibration_id": "a", "identities": 20, "curve": []}).encode()
    folder = bundles.altered(copy, copy.with_name("older"), calibration_json=older)
    with pytest.raises(BundleInvalid, match=r"older mien.*export the bundle again"):
        load(folder)


def test_a_manifest_cannot_name_files_outside_the_bundle(copy: Path) -> None:
    manifest = read_manifest(copy)
    escaped = manifest.changed(files=manifest.files | {"../secret": "0" * 64})
    (copy / "manifest.json").write_bytes(escaped.to_bytes())
    with pytest.raises(BundleInvalid, match="outside the bundle"):
        load(copy)
