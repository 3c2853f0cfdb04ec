"""A run that is killed, gone on with, and the same as one that never was."""

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mien.errors import OutputExists, RunInvalid
from mien_training import checkpoint
from mien_training.config.recipe import Recipe
from mien_training.fit import fit
from mien_training.loading import load_recipe
from tests.faces import encoded, folder_of_people
from tests.training.recipes import TOML

ROOT = Path(__file__).parents[2]

STATEFUL = """
epochs = 7
validate_every = 1
checkpoint_every = 2
accumulate = 2
clip_gradient = 5
"""
"""Everything that has a state: EMA, centres, momentum, a plateau, early stopping, dropout."""

Kill = Callable[[Path, str, int], None]
"""Begins or goes on with a run, and kills it at so many calls of what: `tests.training.killed`."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_people(tmp_path_factory.mktemp("people"), people=6, shots=4)


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "stateful.toml"
    kept = TOML.partition("dimension")[1:]
    path.write_text(
        f"validation_people = 0.4\nthreads = 1\n{STATEFUL}{''.join(kept)}\n"
        '[schedule]\nkind = "plateau"\npatience = 1\nfactor = 0.5\n'
        "[early_stopping]\npatience = 6\n"
    )
    return path


@pytest.fixture(scope="module")
def recipe(toml: Path) -> Recipe:
    return load_recipe(str(toml))


@pytest.fixture(scope="module")
def whole(folder: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never killed."""
    return fit(folder, recipe, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def kill(folder: Path, toml: Path) -> Iterator[Kill]:
    command = [sys.executable, "-m", "tests.training.killed"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    sent, told = process.stdin, process.stdout
    assert sent
    assert told

    def once(out: Path, where: str, times: int) -> None:
        print(json.dumps([str(folder), str(toml), str(out), where, times]), file=sent, flush=True)
        assert told.readline() == f"{-signal.SIGKILL}\n"

    yield once
    process.communicate(timeout=60)
    assert process.returncode == 0


def rows(run: Path) -> list[dict[str, str]]:
    """Of the log, without the time."""
    with (run / "log.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def assert_same(first: Any, second: Any) -> None:
    """Equal to the last bit, through all dictionaries and lists."""
    assert type(first) is type(second)
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, Mapping):
        assert list(first) == list(second)
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def assert_same_run(first: Path, second: Path) -> None:
    assert rows(first) == rows(second)
    one, other = (
        {
            **vars(checkpoint.load(run)),
            "log": [{**row, "seconds": 0} for row in checkpoint.load(run).log],
        }
        for run in (first, second)
    )
    assert_same(one, other)


# Two steps an epoch; a checkpoint after epochs 2, 4, 6 and 7.
MOMENTS = {
    "before the first checkpoint": [("step", 3)],
    "in the middle of an epoch": [("step", 6)],
    "between the epochs of two checkpoints": [("step", 7)],
    "while it writes its first checkpoint": [("fsync", 1)],
    "while it writes a later checkpoint": [("fsync", 3)],
    "three times": [("step", 2), ("step", 7), ("fsync", 1)],
}


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_run_ends_with_the_weights_of_one_that_never_was(
    moments: list[tuple[str, int]],
    folder: Path,
    recipe: Recipe,
    whole: Path,
    tmp_path: Path,
    kill: Kill,
) -> None:
    for where, times in moments:
        kill(tmp_path / "run", where, times)
    assert_same_run(whole, fit(folder, recipe, tmp_path / "run", resume=True))
    assert not list((tmp_path / "run").glob("*.partial"))


def test_the_command_goes_on_after_a_kill_from_outside(
    folder: Path, toml: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [
        *(str(Path(sys.executable).with_name("mien-train")), "fit", str(folder)),
        *("--recipe", str(toml), "--out", str(out), "--resume"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("epoch 3/"):
            process.kill()
            break
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == f"wrote {out}"
    assert_same_run(whole, out)


def test_a_finished_run_is_left_as_it_is(folder: Path, recipe: Recipe, whole: Path) -> None:
    before = (whole / "checkpoint.pt").read_bytes()
    fit(folder, recipe, whole, resume=True)
    assert (whole / "checkpoint.pt").read_bytes() == before


def test_seconds_go_on_from_those_before(
    folder: Path, recipe: Recipe, tmp_path: Path, kill: Kill
) -> None:
    kill(tmp_path / "run", "step", 6)
    saved = checkpoint.load(tmp_path / "run")
    saved.log[-1]["seconds"] = 1000.0
    saved.save(tmp_path / "run")
    fit(folder, recipe, tmp_path / "run", resume=True)
    assert float(checkpoint.load(tmp_path / "run").log[-1]["seconds"] or 0) > 1000


def test_another_recipe_is_refused_with_the_key_that_differs(
    folder: Path, toml: Path, whole: Path
) -> None:
    before = (whole / "log.csv").read_bytes()
    for override, message in (
        ("optimiser.learning_rate=0.5", r"optimiser\.learning_rate was 0\.01 and is 0\.5; resume"),
        ("network={kind='residual'}", r"network\.kind was \"cnn\" and is \"residual\""),
        ("augmentation.flip.probability=0.1", r"augmentation\.flip\.probability was 0\.5 and is"),
    ):
        with pytest.raises(RunInvalid, match=message):
            fit(folder, load_recipe(str(toml), [override]), whole, resume=True)
    assert (whole / "log.csv").read_bytes() == before


def test_another_data_set_is_refused(recipe: Recipe, whole: Path, tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=6, shots=4)
    (people / "person-1" / "1.png").write_bytes(encoded(1, shot=9))
    with pytest.raises(RunInvalid, match=r"begun with other pictures than those of .*people \(SHA"):
        fit(people, recipe, whole, resume=True)


def test_a_moved_data_set_is_not_another(
    folder: Path, recipe: Recipe, whole: Path, tmp_path: Path
) -> None:
    moved = folder_of_people(tmp_path / "moved", people=6, shots=4)
    fit(moved, recipe, whole, resume=True)


def test_a_folder_of_something_else_is_not_gone_on_with(
    folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputExists):
        fit(folder, recipe, tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


FULL = """
import resource, sys
from pathlib import Path
from mien_training import checkpoint
saved = checkpoint.load(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
saved.save(Path(sys.argv[1]))
"""


def test_a_full_disk_leaves_the_previous_checkpoint(whole: Path, tmp_path: Path) -> None:
    saved = checkpoint.load(whole)
    replace(saved, epoch=1).save(tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert f"StorageFull: no space left for {tmp_path / 'checkpoint.pt'} after epoch 1" in (
        done.stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
