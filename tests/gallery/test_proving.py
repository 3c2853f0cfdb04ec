"""The proof of absence in a process of its own."""

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import InvalidRequest, StoreInvalid
from mien.gallery import proving
from mien.gallery.galleries import Galleries
from mien.gallery.prove import Proof, prove
from mien.gallery.proving import prove_elsewhere
from tests.gallery.looks import MODEL, enroll, looks, sha256


def test_it_finds_what_the_same_search_here_finds(data: Path) -> None:
    data.mkdir()
    vector = looks(1)[0]
    (data / "a").write_bytes(b"x" * 100 + vector.tobytes() + b"Ada")
    (data / "b").write_bytes(b"nothing")
    asked = (vector, sha256(vector), "Ada")
    found = prove_elsewhere(data, *asked)
    assert found == prove(data, *asked)
    assert {trace.what for trace in found.traces} == {
        "vector from value 0",
        "vector from value 8",
        "text",
    }
    assert (found.files, found.bytes) == (2, 100 + 64 + 3 + 7)


def test_beside_open_galleries_it_finds_who_is_there_and_not_who_is_gone(
    galleries: Galleries, data: Path
) -> None:
    one, other = looks(2)
    enroll(galleries, "adam", one)
    enroll(galleries, "bea", other)
    galleries.delete_subject("staff", "adam")
    assert not prove_elsewhere(data, one, sha256(one), "adam").traces
    assert prove_elsewhere(data, other).traces
    assert prove_elsewhere(data, None, sha256(other)).traces
    assert prove_elsewhere(data, None, "", "bea").traces


def test_the_locks_of_open_galleries_stay(galleries: Galleries, data: Path) -> None:
    enroll(galleries, "adam", looks(1)[0])
    prove_elsewhere(data, None, "", "somebody")
    # SQLite in another process asks for the lock that ours holds while it is open.
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:  # pragma: no cover - the child
        try:
            connection = sqlite3.connect(data / "mien.sqlite3", timeout=0)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            os.write(writer, b"taken")
        except sqlite3.OperationalError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"database is locked"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("sha", "text", "message"),
    [("", "", "nothing to look for"), ("ABC", "", "64 hexadecimal digits")],
)
def test_what_cannot_be_looked_for_is_refused(
    tmp_path: Path, sha: str, text: str, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        prove_elsewhere(tmp_path, None, sha, text)


def test_a_directory_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreInvalid, match="proves nothing"):
        prove_elsewhere(tmp_path / "none", None, "", "Ada")


def test_a_file_that_goes_meanwhile_makes_it_read_all_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail_twice(*_: object) -> Proof:
        calls.append(1)
        if len(calls) < 3:
            raise FileNotFoundError
        return Proof((), 1, 1)

    monkeypatch.setattr(proving, "prove", fail_twice)
    assert proving._settled(tmp_path, None, "", "Ada") == Proof((), 1, 1)
    assert len(calls) == 3


def test_nobody_waits_and_the_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Exception):
        pass

    def gone() -> None:
        raise Gone

    started = []
    popen = subprocess.Popen

    def start(*_: Any, **kwargs: Any) -> Any:
        started.append(popen(["sleep", "60"], **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(Gone):
        prove_elsewhere(tmp_path, np.ones(8, np.float32), alive=gone)
    assert started[0].poll() is not None


def test_the_command_line_does_not_show_what_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []
    popen = subprocess.Popen

    def start(command: list[str], **kwargs: Any) -> Any:
        commands.append(command)
        return popen(command, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", start)
    prove_elsewhere(tmp_path, None, "", "Ada Lovelace")
    assert "Ada" not in " ".join(commands[0])


def test_the_model_is_no_matter(galleries: Galleries, data: Path) -> None:
    vector = looks(1)[0]
    enroll(galleries, "adam", vector)
    assert prove_elsewhere(data, vector).traces
    assert galleries.get("staff").model_fingerprint == MODEL


def test_what_is_longer_than_a_pipe_holds_is_looked_for_too(
    galleries: Galleries, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process starts slower than it is asked whether anybody waits."""
    monkeypatch.setattr(proving, "POLL_SECONDS", 0.01)
    proof = prove_elsewhere(data, text="x" * 300_000)
    assert proof.traces == ()
    assert proof.files > 0
