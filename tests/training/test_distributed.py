"""Two processes that share every batch learn what one learns from all of it."""

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.errors import RecipeInvalid
from mien_training import checkpoint
from mien_training.batches import Batches
from mien_training.config.recipe import Recipe
from mien_training.data import load
from mien_training.fit import fit
from mien_training.process_group import ProcessGroup
from tests.faces import folder_of_people
from tests.processes import executable
from tests.training.recipes import TOML, small

CLOSE = 1e-4
ALIKE = ("network.dropout=0.0", "batches={people=4, pictures=2}", "threads=1", "epochs=3")
"""Dropout would leave out other values of each share than of the whole batch."""

RUNS = {
    "every loss, centres, gradients gathered over two batches, an average": (
        "accumulate=2",
        "losses.contrastive={}",
        "losses.softmax.head={kind='cosface'}",
    ),
    "triplets drawn at random, a residual network, clipped, L1": (
        "losses={triplet={selection={kind='distance_weighted'}}}",
        "network={kind='residual', channels=[8, 8], blocks=[1, 1]}",
        "clip_gradient=0.5",
        "optimiser.l1=1e-4",
    ),
    "an autoencoder, whose decoder is outside of what is gathered; single weights left out": (
        "losses={softmax={}}",
        "network={kind='autoencoder', channels=[4, 4], drop_connect=0.2}",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_people(tmp_path_factory.mktemp("people"), people=9, shots=4)


OUT_BY_RANK = r'out=$0; exec "$@" "${out/\$RANK/$RANK}"'
"""A $RANK in --out becomes the number of the process."""


def torchrun(folder: Path, out: Path, toml: Path, *overrides: str, processes: int = 2) -> str:
    """Run `mien-train fit` in several processes; what they printed, both streams."""
    sets = [part for override in overrides for part in ("--set", override)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"),
            *("--nproc-per-node", str(processes), "bash", "-c", OUT_BY_RANK),
            *(str(out), executable("mien-train"), "fit", str(folder)),
            *("--recipe", str(toml), *sets, "--resume", "--out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )
    return done.stdout


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "log.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    return [
        {name: float(value) for name, value in row.items() if name != "seconds" and value}
        for row in table
    ]


@pytest.mark.parametrize("overrides", RUNS.values(), ids=RUNS)
def test_two_processes_have_the_curves_and_weights_of_one(
    overrides: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    recipe = small(tmp_path, *ALIKE, *overrides)
    alone = fit(folder, recipe, tmp_path / "alone")
    said = torchrun(folder, tmp_path / "shared", tmp_path / "small.toml", *ALIKE, *overrides)
    assert said.count(f"wrote {tmp_path / 'shared'}") == 1, said
    assert said.count("audit of") == 1

    one, two = rows(alone), rows(tmp_path / "shared")
    assert [row.keys() for row in one] == [row.keys() for row in two]
    for before, after in zip(one, two, strict=True):
        assert after == pytest.approx(before, abs=CLOSE, rel=CLOSE)
    # What the processes hold besides: centres, heads, running statistics, the average.
    single, shared = checkpoint.load(alone), checkpoint.load(tmp_path / "shared")
    for name in ("network", "average", "losses"):
        states = getattr(single, name), getattr(shared, name)
        assert list(states[0]) == list(states[1])
        for key in states[0]:
            torch.testing.assert_close(states[1][key], states[0][key], atol=CLOSE, rtol=CLOSE)


def test_a_run_begun_by_one_process_is_gone_on_with_by_two(folder: Path, tmp_path: Path) -> None:
    recipe = small(tmp_path, *ALIKE)
    begin(folder, recipe, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "alone")
    torchrun(folder, tmp_path / "run", tmp_path / "small.toml", *ALIKE)
    fit(folder, recipe, tmp_path / "alone", resume=True)
    resumed, alone = rows(tmp_path / "run"), rows(tmp_path / "alone")
    assert [row["epoch"] for row in resumed] == [1, 2, 3]
    assert resumed[:2] == alone[:2]
    assert resumed[2] == pytest.approx(alone[2], abs=CLOSE, rel=CLOSE)


def begin(folder: Path, recipe: Recipe, out: Path) -> None:
    """Two of three epochs."""
    fit(folder, recipe.model_copy(update={"epochs": 2}), out)
    begun = checkpoint.load(out)
    replace(begun, recipe=recipe.model_dump_json()).save(out)


def test_processes_that_start_from_different_things_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    """As on two machines without a shared disk: only the first finds the checkpoint."""
    recipe = small(tmp_path, *ALIKE)
    begin(folder, recipe, tmp_path / "run-0")
    before = (tmp_path / "run-0" / "checkpoint.pt").read_bytes()
    said = torchrun(folder, tmp_path / "run-$RANK", tmp_path / "small.toml", *ALIKE)
    assert "process 1 starts from another epoch than process 0, 0 and not 2; give every" in said
    assert (tmp_path / "run-0" / "checkpoint.pt").read_bytes() == before
    assert "mien_training" not in said


def test_what_the_first_process_alone_finds_is_said_once_and_ends_all(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "small.toml").write_text(TOML)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    said = torchrun(folder, tmp_path / "run", tmp_path / "small.toml", *ALIKE)
    assert said.count("is there already and not empty") == 1
    assert "mien_training" not in said  # no traceback of ours beside torchrun's own
    assert "closed by peer" not in said


def test_shares_of_all_processes_are_the_batch_of_one(folder: Path, tmp_path: Path) -> None:
    recipe = small(tmp_path, "batches={people=4, pictures=2}")
    crops = load(folder, recipe.crop).crops
    whole = list(Batches(crops, recipe, ProcessGroup()).epoch(1))
    shares = [list(Batches(crops, recipe, ProcessGroup(rank, 2)).epoch(1)) for rank in range(2)]
    for (images, labels), *parts in zip(whole, *shares, strict=True):
        assert torch.equal(torch.cat([own for own, _ in parts]), images)
        assert all(torch.equal(theirs, labels) for _, theirs in parts)


def test_people_that_cannot_be_shared_evenly_are_refused(folder: Path, tmp_path: Path) -> None:
    recipe = small(tmp_path, "batches={people=5, pictures=2}")
    crops = load(folder, recipe.crop).crops
    with pytest.raises(RecipeInvalid, match=r"is 5, which 2 processes cannot .* set it to 4"):
        Batches(crops, recipe, ProcessGroup(0, 2))


def test_a_refusal_ends_every_process(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TOML)
    said = torchrun(folder, tmp_path / "run", tmp_path / "small.toml", "batches.people=3")
    assert "batches.people is 3, which 2 processes cannot share evenly" in said
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
