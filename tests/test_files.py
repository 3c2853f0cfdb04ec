"""Files that are there whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien import files
from mien.errors import OutputExists
from mien.files import created


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(params=["without a name", "with a temporary name"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On file systems that have files without a name, and on others."""
    if request.param == "with a temporary name":
        monkeypatch.delattr(os, "O_TMPFILE")
    return tmp_path


def test_a_file_is_there_when_the_block_has_ended(folder: Path) -> None:
    with created(folder / "a") as file:
        file.write(b"hello")
        assert not (folder / "a").exists()
    assert (folder / "a").read_bytes() == b"hello"
    assert (folder / "a").stat().st_mode & 0o777 == 0o600
    assert names(folder) == ["a"]


def test_a_block_that_fails_leaves_nothing(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), created(folder / "a") as file:  # noqa: PT012
        file.write(b"hello")
        raise ZeroDivisionError
    assert names(folder) == []


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_is_there_is_never_replaced(folder: Path, when: str) -> None:
    path = folder / "a"
    if when == "before":
        path.write_bytes(b"old")
    with pytest.raises(OutputExists, match="is there already"), created(path) as file:  # noqa: PT012
        file.write(b"new")
        path.write_bytes(b"old")
    assert path.read_bytes() == b"old"
    assert names(folder) == ["a"]


def test_a_folder_that_is_missing_is_refused(folder: Path) -> None:
    with pytest.raises(FileNotFoundError), created(folder / "no" / "a"):
        pass


def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    try:
        os.close(files._nameless(tmp_path)[0])
    except OSError as error:
        pytest.skip(f"no files without a name here: {error}")
    if names(tmp_path):
        pytest.skip("this file system has no files without a name")
    code = (
        "import sys, time; from pathlib import Path; from mien.files import created\n"
        "with created(Path(sys.argv[1])) as file:\n"
        "    file.write(b'hello' * 10**6); file.flush(); print('written', flush=True)\n"
        "    time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert names(tmp_path) == []
