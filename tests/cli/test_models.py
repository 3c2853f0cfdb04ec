"""`mien models` as a person types it, against a local source."""

import hashlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mien.cli.main import main
from mien.vision import detector_file
from mien.vision.detector_file import YUNET, YUNET_N, DetectorFile
from tests.vision.shared import YUNET_FILE
from tests.vision.test_detector_file import CONTENT, source

__all__ = ["source"]

FILE = DetectorFile("yunet.onnx", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "ours")

OTHER = DetectorFile("first.onnx", hashlib.sha256(b"first").hexdigest(), 5, "theirs")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(detector_file, "YUNET", FILE)
    monkeypatch.setattr(detector_file, "KNOWN", (OTHER, FILE))
    return tmp_path / "models"


def mien_models(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)], prog_name="mien")


def refused(result: Result) -> str:
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    return line


def test_fetch_tells_where_the_file_is_and_its_digest(source: str, models: Path) -> None:
    result = mien_models("fetch", "yunet", "--url", f"{source}/good")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{models / 'yunet.onnx'}  SHA-256 {FILE.sha256} (ours)\n"


def test_fetch_says_if_another_file_is_used_all_the_same(source: str, models: Path) -> None:
    models.mkdir()
    (models / "first.onnx").write_bytes(b"first")
    result = mien_models("fetch", "yunet", "--url", f"{source}/good")
    assert result.exit_code == 0
    assert str(models / "yunet.onnx") in result.stdout
    assert result.stderr == (
        f"note: {models / 'first.onnx'} is there too, and is used; take it away to use this one\n"
    )


def test_another_file_is_refused_in_one_sentence(source: str, models: Path) -> None:
    line = refused(mien_models("fetch", "yunet", "--url", f"{source}/other"))
    assert "nothing was kept" in line
    assert not models.exists()


def test_a_model_that_nobody_knows_is_refused() -> None:
    result = mien_models("fetch", "yolo")
    assert result.exit_code == 2
    assert "'yolo' is not 'yunet'" in result.stderr


@pytest.mark.usefixtures("unpacked")
def test_a_missing_detector_names_the_command(models: Path) -> None:
    assert "mien models fetch yunet" in refused(mien_models("check"))


def test_check_tells_which_detector_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_file, "KNOWN", (YUNET_N, YUNET))
    named = mien_models("check", "--detector-model", YUNET_FILE)
    monkeypatch.setenv("MIEN_MODELS", str(YUNET_FILE.parent))
    for result in (named, mien_models("check")):
        assert result.exit_code == 0, result.output
        assert re.fullmatch(rf"{YUNET_FILE}  SHA-256 [0-9a-f]{{64}} \(.+\)\n", result.stdout)
        assert "not known" not in result.stdout
