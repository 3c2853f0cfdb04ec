import os
import time
from pathlib import Path
from typing import Any

import pytest

from mien.enrolling import reading
from mien.enrolling.items import Refusal
from mien.enrolling.reading import Content, read, stamp


def aged(path: Path, content: bytes = b"abc", age: float = 100) -> Path:
    path.write_bytes(content)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def reason(found: Content | Refusal | str) -> str:
    assert isinstance(found, Refusal)
    return found.reason


def test_a_file_is_read_with_a_stamp_once_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = aged(tmp_path / "a.jpg")
    found = read(path)
    assert isinstance(found, Content)
    assert (found.content, found.stamp) == (b"abc", "")  # its ctime is of now
    later = time.time() + 60
    monkeypatch.setattr("mien.enrolling.reading.time.time", lambda: later)
    found = read(path)
    assert isinstance(found, Content)
    assert found.stamp == stamp(path) != ""


def test_a_stamp_tells_of_another_file_of_the_same_size_and_time(tmp_path: Path) -> None:
    path = aged(tmp_path / "a.jpg")
    before, times = stamp(path), path.stat()
    aged(tmp_path / "b.jpg", b"xyz").replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stamp(path) != before


def test_a_file_that_is_gone_or_none_is_refused(tmp_path: Path) -> None:
    assert reason(read(tmp_path / "gone.jpg")) == "FILE_VANISHED"
    assert reason(stamp(tmp_path / "gone.jpg")) == "FILE_VANISHED"
    (tmp_path / "folder.jpg").mkdir()
    assert reason(read(tmp_path / "folder.jpg")) == "NOT_A_FILE"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(read(tmp_path / "pipe.jpg")) == "NOT_A_FILE"
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert reason(read(tmp_path / "loop.jpg")) == "FILE_UNREADABLE"
    assert reason(read(tmp_path / ("x" * 300))) == "FILE_UNREADABLE"
    assert reason(read(aged(tmp_path / "a.jpg") / "b.jpg")) == "FILE_VANISHED"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(2**40)
    assert reason(read(tmp_path / "sparse.jpg")) == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize("times", [1, 99])
def test_a_file_that_is_written_to_meanwhile_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    path, real, left = aged(tmp_path / "a.jpg"), reading._all, [times]

    def grows(*args: Any) -> bytes:
        content = real(*args)
        if left[0]:
            left[0] -= 1
            with path.open("ab") as file:
                file.write(b"more")
        return content

    monkeypatch.setattr(reading, "_all", grows)
    found = read(path)
    if times == 1:
        assert isinstance(found, Content)
        assert found.content == b"abcmore"
    else:
        assert reason(found) == "FILE_CHANGING"
