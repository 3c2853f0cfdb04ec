"""Files that are there whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien import files
from mien.errors import OutputExists
from mien.files import created, replaced


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


def test_a_file_that_cannot_be_written_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    """The system's own error of a full disk does not tell which file it was."""
    path = tmp_path / "report"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left") as caught, replaced(path) as file:  # noqa: PT012
        file.write(b"new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["report"]


def test_an_error_that_names_its_file_and_any_other_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), replaced(tmp_path / "a"):
        Path("elsewhere").read_bytes()
    with pytest.raises(ZeroDivisionError), replaced(tmp_path / "a") as file:  # noqa: PT012
        file.write(b"half")
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_disk_that_is_full_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    """Of the system itself: a process that may write no more than 8 kB into a file."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from mien.files import replaced\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "with replaced(Path(sys.argv[1])) as file: file.write(bytes(100_000))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"File too large: '{tmp_path / 'a'}'" in finished.stderr
    assert names(tmp_path) == []
