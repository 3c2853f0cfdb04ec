"""`mien gallery prove-absent`: that somebody is nowhere."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.model.bundle import Bundle
from mien.server.server import Server
from tests.cli.keeping import Place, refused, run, told
from tests.gallery.looks import sha256
from tests.server.galleries import person


class TestProveAbsent:
    def test_finds_who_is_there(self, place: Place, tmp_path: Path) -> None:
        np.save(tmp_path / "v.npy", person(1)[0])
        fields = told(run("prove-absent", "--vector", tmp_path / "v.npy", "--json",
                          *place.options), status=1)  # fmt: skip
        assert set(fields) == {"traces", "files", "bytes"}
        assert {each["what"] for each in fields["traces"]} == {
            "vector from value 0",
            "vector from value 8",
        }
        assert isinstance(fields["traces"][0]["offset"], int)
        assert fields["files"] >= 2
        printed = run("prove-absent", "--text", "p1", *place.options)
        assert printed.exit_code == 1
        assert "mien.sqlite3, byte " in printed.stdout

    def test_finds_a_picture_by_its_hash(
        self, place: Place, tmp_path: Path, bundle: Bundle
    ) -> None:
        (tmp_path / "strange.jpg").write_bytes(b"a stranger")
        (tmp_path / "known.jpg").write_bytes(person(1)[0].tobytes())  # as `filled` hashes it
        absent = run("prove-absent", "--picture", tmp_path / "strange.jpg", *place.options)
        assert absent.exit_code == 0
        assert absent.stdout.startswith("absent: ")
        found = run("prove-absent", "--picture", tmp_path / "known.jpg", *place.options)
        assert found.exit_code == 1
        digest = sha256(person(1)[0])
        assert run("prove-absent", "--sha256", digest, *place.options).exit_code == 1

    def test_a_deleted_subject_is_nowhere(self, server: Server, data: Path, tmp_path: Path) -> None:
        server._galleries.delete("other")
        server._galleries.delete_subject("staff", "p2")
        np.save(tmp_path / "v.npy", person(2)[0])
        finished = run("prove-absent", "--vector", tmp_path / "v.npy", "--sha256",
                       sha256(person(2)[0]), "--server", f"127.0.0.1:{server.port}")  # fmt: skip
        assert finished.exit_code == 0, finished.output
        assert not prove_absent_elsewhere(data, tmp_path / "v.npy")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"rubbish", "is no .npy file"),
            (np.zeros((2, 3), np.float32), "has float32 [2, 3]"),
            (np.zeros(4), "has float64 [4]"),
        ],
    )
    def test_what_is_no_vector_is_refused(
        self,
        place: Place,
        tmp_path: Path,
        content: bytes | np.ndarray,
        message: str,
    ) -> None:
        path = tmp_path / "v.npy"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        assert message in refused(run("prove-absent", "--vector", path, *place.options))

    def test_what_is_no_hash_is_refused(self, place: Place) -> None:
        sentence = refused(run("prove-absent", "--sha256", "ABC", *place.options))
        assert "64 hexadecimal digits" in sentence

    def test_nothing_to_look_for_is_refused(self, tmp_path: Path) -> None:
        assert "say what to look for" in refused(run("prove-absent"))
        (tmp_path / "p").write_bytes(b"p")
        both = run("prove-absent", "--sha256", "0" * 64, "--picture", tmp_path / "p")
        assert "exclude each other" in refused(both)


def prove_absent_elsewhere(data: Path, vector: Path) -> str:
    """The traces, found by another process: this one has the galleries open."""
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from mien.gallery.prove import prove_absent\n"
        "print(*prove_absent(Path(sys.argv[1]), np.load(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(data), str(vector)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
