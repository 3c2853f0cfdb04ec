"""The whole program on a few real pictures, where the development data is there."""

import json
import shutil
from pathlib import Path

import pytest

from model_report import __main__ as program
from model_report.figures import DET

DATA = Path(__file__).parents[3] / "shared" / "data"
PAIRS = 50

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the development data is not at {DATA}; it cannot be distributed"
)


def few(folder: Path, out: Path, people: int) -> None:
    """The first people of a folder, by links."""
    out.mkdir(parents=True)
    for person in sorted(folder.iterdir())[:people]:
        (out / person.name).symlink_to(person.resolve(), target_is_directory=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    few(DATA / "crops", out / "crops", 30)
    few(DATA / "photos", out / "photos", 3)
    lfw, small = DATA / "lfw_view1", out / "lfw_view1"
    small.mkdir()
    (small / "images").symlink_to((lfw / "images").resolve(), target_is_directory=True)
    count, *lines = (lfw / "pairsDevTest.txt").read_text().splitlines()
    genuine, impostor = lines[: int(count)], lines[int(count) :]
    kept = [str(PAIRS), *genuine[:PAIRS], *impostor[:PAIRS]]
    (small / "pairsDevTest.txt").write_text("\n".join(kept) + "\n")
    return out


def test_one_run_writes_the_figures_the_tables_and_the_chart(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = Path(__file__).parents[2] / "docs"
    shutil.copyfile(docs / "models.md", tmp_path / "models.md")
    arguments = ["mien-s", "--data", str(data), "--docs", str(tmp_path), "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["model_report", *arguments])
    program.main()
    found = json.loads((tmp_path / "models.json").read_text())
    told = json.loads((docs / "models.json").read_text())
    assert found.keys() == told.keys()
    assert found["bundle"]["fingerprint"] == told["bundle"]["fingerprint"]  # the pages are of it
    for part in ("held_out", "photos"):
        assert [point["fmr"] for point in found[part]["det"]] == list(DET)
        fnmrs = [point["fnmr"] for point in found[part]["det"]]
        assert fnmrs == sorted(fnmrs)
        assert "curve" not in found[part]
    assert "hardest" not in found["lfw_view1"]
    page = (tmp_path / "models.md").read_text()
    assert f"]({program.CHART})\n\n{program.END}" in page
    assert (tmp_path / program.CHART).read_text().startswith("<svg ")
    assert "the hardest first" in capsys.readouterr().out
