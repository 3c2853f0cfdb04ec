"""A disk that is full, whichever file of a run meets it, is one sentence that names the file."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.errors import StorageFull
from mien_training.log import Log
from mien_training.room import CHECKPOINT, room_for
from tests.faces import folder_of_people
from tests.training.recipes import TOML

LIMITED = """
import resource, sys
from pathlib import Path
from mien_training.log import Log

log = Log(Path(sys.argv[1]), [])
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
for epoch in range(1, 1000):
    log.add(epoch, 0.0, {"loss": eval(sys.argv[2])})
"""
COMMAND = """
import resource, sys
from mien_training.cli import main

limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""
AGAIN = "; the checkpoint before it is kept: free some space and go on with --resume"
ANEW = ", and there is no checkpoint yet: free some space and begin anew with --resume"


def run(program: str, *arguments: str | int | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_whatever_leaves_no_space_is_storage_full(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageFull) as full, room_for(tmp_path / "log.csv", tmp_path, epoch=3):
        raise OSError(number, "told by the system")
    assert str(full.value) == f"no space left for {tmp_path / 'log.csv'} after epoch 3{ANEW}"
    assert full.value.__suppress_context__


def test_it_says_whether_there_is_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"")
    with pytest.raises(StorageFull) as full, room_for(tmp_path / "recipe.json", tmp_path):
        raise RuntimeError("as torch") from OSError(errno.ENOSPC, "told by the system")
    assert str(full.value) == f"no space left for {tmp_path / 'recipe.json'}{AGAIN}"


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "denied"), ValueError("another")])
def test_any_other_error_is_left_as_it_is(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, room_for(tmp_path / "log.csv", tmp_path):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("column", "file"), [("None", r"log\.csv"), ("0.5", r"tensorboard/events\.out\.\S+")]
)
def test_a_full_log_is_named(tmp_path: Path, column: str, file: str) -> None:
    """Without a value TensorBoard is told nothing, and with one more than log.csv."""
    done = run(LIMITED, tmp_path, column)
    last = done.stderr.splitlines()[-1]
    told = rf"mien\.errors\.StorageFull: no space left for {tmp_path}/{file} after epoch \d+"
    assert re.fullmatch(told + re.escape(ANEW), last)
    assert done.stderr.count("Traceback") == 1  # of the program above, and of no thread


def test_a_log_that_met_a_full_disk_is_whole_once_it_is_begun_again(tmp_path: Path) -> None:
    assert run(LIMITED, tmp_path, "None").returncode == 1
    Log(tmp_path, [{"epoch": 1, "seconds": 0.0, "loss": None}])
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,seconds,loss", "1,0.0,"]


FULL = {
    "its recipe": (100, "", r"recipe\.json", ANEW),
    "its curves": (4096, "checkpoint_every=60", r"tensorboard/\S+ after epoch \d+", ANEW),
    "its first checkpoint": (8192, "checkpoint_every=1", r"checkpoint\.pt after epoch 1", ANEW),
}


@pytest.mark.parametrize(("limit", "override", "file", "kept"), FULL.values(), ids=FULL)
def test_the_command_says_it_in_one_sentence(
    tmp_path: Path, limit: int, override: str, file: str, kept: str
) -> None:
    people = folder_of_people(tmp_path / "people", people=4, shots=2)
    (tmp_path / "small.toml").write_text(TOML)
    epochs = "epochs=60", "validate_every=60", *([override] if override else [])
    done = run(
        COMMAND,
        *(limit, "fit", people, "--recipe", tmp_path / "small.toml", "--out", tmp_path / "run"),
        *(part for key in epochs for part in ("--set", key)),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    told = rf"\S+: no space left for {tmp_path / 'run'}/{file}"
    assert re.fullmatch(told + re.escape(kept), last), last
