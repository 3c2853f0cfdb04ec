"""One process for each data directory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.errors import DataDirectoryLocked
from mien.gallery.galleries import Galleries
from mien.gallery.lock import FILE_NAME
from tests.gallery.looks import DIM, MODEL

HOLD = """
import sys, time
from pathlib import Path
from mien.gallery.galleries import Galleries
with Galleries(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the data directory open."""
    command = [sys.executable, "-c", HOLD, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_while_the_first_lives(
    holder: subprocess.Popen[str], data: Path
) -> None:
    for _ in range(2):
        with pytest.raises(
            DataDirectoryLocked, match=f"{data} is in use by process {holder.pid}; stop that one"
        ):
            Galleries(data)


def test_a_process_is_admitted_after_the_first_was_killed(
    holder: subprocess.Popen[str], data: Path
) -> None:
    holder.kill()
    holder.wait()
    with Galleries(data) as galleries:
        assert galleries.create("staff", MODEL, DIM).revision == 0
        assert (data / FILE_NAME).read_text() == f"{os.getpid()}\n"


def test_a_directory_is_opened_once_in_a_process_too(galleries: Galleries, data: Path) -> None:
    with pytest.raises(DataDirectoryLocked, match=f"in use by process {os.getpid()}"):
        Galleries(data)


def test_a_closed_directory_may_be_opened_again(data: Path) -> None:
    galleries = Galleries(data)
    galleries.close()
    galleries.close()
    Galleries(data).close()
