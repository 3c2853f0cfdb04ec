"""The command as a person runs it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mien.model.bundle import load
from mien_training.cli import main
from tests.faces import folder_of_people
from tests.training.recipes import TOML


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_people(tmp_path_factory.mktemp("people"), people=4, shots=3)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(TOML)
    return path


def mien_train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="mien-train")


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line]
    assert line.startswith("mien-train: ")
    assert message in line


def test_fit_writes_a_run(folder: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = mien_train("fit", folder, "--recipe", recipe, "--out", out, "--set", "epochs=1")
    assert result.exit_code == 0, result.output
    assert f"wrote {out}" in result.stdout
    assert (out / "checkpoint.pt").is_file()
    assert_refused(mien_train("fit", folder, "--recipe", recipe, "--out", out), "already")


def test_what_is_wrong_is_one_line_and_nothing_is_written(
    folder: Path, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    fit = ("fit", folder, "--out", out, "--recipe")
    assert_refused(mien_train(*fit, "orl-centr"), "the nearest known is orl-center")
    assert_refused(mien_train(*fit, recipe, "--set", "epoch=1"), "the nearest known is epochs")
    assert_refused(
        mien_train("fit", tmp_path / "gone", "--out", out, "--recipe", recipe), "is no folder"
    )
    assert not out.exists()


def test_resume_and_strict_reach_the_run(folder: Path, recipe: Path, tmp_path: Path) -> None:
    fit = ("fit", folder, "--recipe", recipe, "--out", tmp_path / "run", "--resume")
    assert mien_train(*fit, "--set", "epochs=1").exit_code == 0
    refused = mien_train(*fit)
    assert refused.exit_code == 2
    assert "epochs was 1 and is 2; resume it with the same" in refused.stderr.splitlines()[-1]
    people = folder_of_people(tmp_path / "people", people=4, shots=2)
    (people / "person-1" / "copy.png").write_bytes((people / "person-1" / "0.png").read_bytes())
    strict = mien_train(*fit[:1], people, *fit[2:4], "--out", tmp_path / "new", "--strict")
    assert strict.exit_code == 2
    assert strict.stderr.splitlines()[-1].startswith("mien-train: ")
    assert "--strict refuses exact duplicates of one person" in strict.stderr


def test_one_command_learns_and_seals(folder: Path, recipe: Path, tmp_path: Path) -> None:
    """`--bundle` gives what `export` of the same run gives."""
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    options = ("--set", "epochs=1", "--set", "validation_people=0.5", "--bundle", bundle)
    done = mien_train("fit", folder, "--recipe", recipe, "--out", run, *options)
    assert done.exit_code == 0, done.output
    assert mien_train("export", run, "--out", tmp_path / "again").exit_code == 0
    sealed, again = load(bundle), load(tmp_path / "again")
    assert sealed.manifest.fingerprint == again.manifest.fingerprint
    assert sealed.calibration == again.calibration
    assert sealed.manifest.name == "bundle"
    assert sealed.manifest.license == "unstated"
    assert f"wrote {run}\nsealed {bundle}: bundle, fingerprint " in done.stdout


def test_a_bundle_that_is_there_is_refused_before_anything_is_learned(
    folder: Path, recipe: Path, tmp_path: Path
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    bundle.mkdir()
    refused = mien_train("fit", folder, "--recipe", recipe, "--out", run, "--bundle", bundle)
    assert_refused(refused, "is there already; name another folder")
    assert not run.exists()


def test_help_answers_at_once_without_torch() -> None:
    program = (
        "import sys; from mien_training.cli import main; sys.argv = ['mien-train', '--help']\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'albumentations', 'cv2'} & set(sys.modules)))"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "fit" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert time.monotonic() - started < 5


def test_an_int8_export_tells_what_it_costs(recipe: Path, tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=6, shots=3)
    run = tmp_path / "run"
    options = ("--set", "epochs=1", "--set", "validation_people=0.5")
    assert mien_train("fit", people, "--recipe", recipe, "--out", run, *options).exit_code == 0
    result = mien_train("export", run, "--out", tmp_path / "b", "--int8")
    assert result.exit_code == 0, result.output
    assert "from the network, before quantisation, over 17 crops" in result.stdout
    assert re.search(r"^EER: [0-9.]+% in float32, [0-9.]+% in int8$", result.stdout, re.M)
    both = mien_train("export", run, "--out", tmp_path / "c", "--int8", "--half")
    assert_refused(both, "half and int8 exclude each other")
    halved = mien_train("export", run, "--out", tmp_path / "d", "--half", "--no-flip")
    assert halved.exit_code == 0, halved.output
    assert re.search(
        r"^stored in 16 bits: maximum difference \S+e-0\d from 32", halved.stdout, re.M
    )
    recipe_of = load(tmp_path / "d").manifest.provenance["recipe"]
    assert '"flip_embedding":false' in recipe_of


@pytest.mark.parametrize(
    ("people", "told"),
    [
        (2, "no FMR below 1 (it takes 7 more for 1 in 10, 23 more for 1 in 100); hold out more"),
        (3, "no FMR below 1 (it takes 6 more for 1 in 10, 22 more for 1 in 100); hold out more"),
        (4, "an FMR of 0.5 and above"),
    ],
)
def test_an_export_tells_what_the_people_held_out_support(
    recipe: Path, tmp_path: Path, people: int, told: str
) -> None:
    folder = folder_of_people(tmp_path / "people", people=2 * people, shots=2)
    options = ("--set", "epochs=1", "--set", "validation_people=0.5")
    run = tmp_path / "run"
    assert mien_train("fit", folder, "--recipe", recipe, "--out", run, *options).exit_code == 0
    result = mien_train("export", run, "--out", tmp_path / "b")
    assert result.exit_code == 0, result.output
    last = result.stdout.splitlines()[-1]
    assert last.startswith(
        f"calibrated on {people} people held out of learning, who support {told}"
    )
    assert "FMR of 1 " not in last
