"""`mien-train lab` as a person runs it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mien_training.cli import main
from mien_training.lab import command, experiments
from mien_training.lab.experiment import DataName, Experiment, Trial
from mien_training.lab.experiment import Result as Found
from mien_training.lab.experiments import LISTED, Listed
from mien_training.lab.record import Record
from tests.training.lab import made_up


def lab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["lab", *map(str, arguments)], prog_name="mien-train")


@pytest.fixture
def only_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LISTED", (LISTED[0], made_up.LISTED))
    monkeypatch.setattr(experiments.Listed, "load", lambda _listed: made_up.EXPERIMENT)


def test_list_names_all_without_torch() -> None:
    program = (
        "import sys; from mien_training.cli import main; sys.argv = ['mien-train', 'lab', 'list']\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'albumentations', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    *lines, heavy = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [listed.name for listed in LISTED]
    assert heavy == "[]"


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    refused = lab("sharng")
    assert refused.exit_code == 2
    for listed in LISTED:
        assert f"'{listed.name}'" in refused.stderr


def test_an_experiment_is_run_and_told(tmp_path: Path) -> None:
    done = lab("sharing", "--out", tmp_path, "--seed", "5")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("sharing: reproduced (0 s)")
    record = Record.read((tmp_path / "sharing" / "result.json").read_bytes())
    assert record.finding.sentence in done.stdout
    assert record.seeds == (5,)


@pytest.mark.usefixtures("only_made_up")
def test_all_runs_every_one(tmp_path: Path) -> None:
    assert lab("all", "--out", tmp_path).exit_code == 0
    assert {folder.name for folder in tmp_path.iterdir()} == {LISTED[0].name, "made-up"}


@pytest.mark.usefixtures("only_made_up")
def test_full_takes_more_seeds_and_epochs(tmp_path: Path) -> None:
    assert lab(LISTED[0].name, "--full", "--out", tmp_path).exit_code == 0
    record = Record.read((tmp_path / LISTED[0].name / "result.json").read_bytes())
    assert (record.full, record.seeds, record.epochs) == (True, (1, 2, 3), 5)


def test_faces_are_refused_where_none_are_looked_at(tmp_path: Path) -> None:
    refused = lab("sharing", "--data", tmp_path, "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert "sharing looks at no faces" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed.name)
def test_every_experiment_says_what_it_is(listed: Listed) -> None:
    experiment = listed.load()
    assert isinstance(experiment, Experiment)
    for text in (experiment.claim, experiment.rule):
        assert text.endswith(".")
    assert experiment.quick.seeds <= experiment.full.seeds
    assert experiment.quick.epochs <= experiment.full.epochs


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """What each of three experiments was given as --data: made up, of these kinds of data."""
    kinds: dict[str, DataName] = {"a": "faces", "b": "digits and faces", "c": "digits"}
    given: list[tuple[str, Path | None]] = []

    def load(listed: Listed) -> Experiment:
        def run(trial: Trial) -> Found:
            given.append((listed.name, trial.folder))
            return made_up.run(trial)

        return replace(made_up.EXPERIMENT, data=kinds[listed.name], run=run)

    monkeypatch.setattr(command, "LISTED", tuple(Listed(name, name) for name in kinds))
    monkeypatch.setattr(command.lab.params[0], "type", click.Choice(("all", *kinds)))
    monkeypatch.setattr(experiments.Listed, "load", load)
    return given


def test_all_gives_a_folder_to_those_that_look_at_faces(
    folders: list[tuple[str, Path | None]], tmp_path: Path
) -> None:
    assert lab("all", "--data", tmp_path, "--out", tmp_path / "out").exit_code == 0
    assert folders == [("a", tmp_path), ("b", tmp_path), ("c", None)]
    assert told_data(tmp_path, "a") == "a folder of faces", "and not where it lies"
    assert told_data(tmp_path, "b") == "scikit-learn's digits and a folder of faces"
    assert told_data(tmp_path, "c") == "scikit-learn's digits"


def told_data(folder: Path, name: str) -> str:
    return Record.read((folder / "out" / name / "result.json").read_bytes()).data


@pytest.mark.parametrize(("name", "code"), [("a", 0), ("b", 0), ("c", 2)])
def test_one_by_name_takes_a_folder_or_refuses_it(
    folders: list[tuple[str, Path | None]], tmp_path: Path, name: str, code: int
) -> None:
    done = lab(name, "--data", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == code, done.output
    assert folders == ([(name, tmp_path)] if code == 0 else [])
    if code:
        assert "those that do: a, b" in done.stderr


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = lab("losses", "--data", tmp_path / "nobody", "--out", tmp_path / "out")
    assert refused.exit_code != 0
    assert f"{tmp_path / 'nobody'} is no folder" in refused.stderr
    assert not (tmp_path / "out").exists()
