"""Commands of who keeps galleries, on a server and on a data directory that none has open."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format

from mien.cli.gallery import gallery as gallery_group
from mien.cli.main import main
from mien.gallery import gallery as gallery_module
from mien.gallery.galleries import Galleries
from mien.gallery.index.sample_index import IndexStats
from mien.gallery.records import Enrolment
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import gallery_pb2
from tests import bundles
from tests.gallery.looks import looks, sha256
from tests.processes import run as run_process
from tests.server.galleries import DIM, DUE, falls_due, filled, person

COMMANDS = (
    "stats",
    "fsck",
    "snapshot",
    "restore",
    "export",
    "duplicates",
    "prove-absent",
    "expire",
)


def run(*arguments: str | Path) -> Result:
    """`mien gallery` with these arguments, in this process."""
    return CliRunner().invoke(main, ["gallery", *map(str, arguments)])


def told(result: Result, status: int = 0) -> dict[str, Any]:
    """What a command printed with --json."""
    assert result.exit_code == status, result.output
    fields = json.loads(result.stdout)
    assert isinstance(fields, dict)
    return fields


def refused(result: Result) -> str:
    """The sentence of a refusal: exit status 2, nothing on stdout, no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


@dataclass
class Place:
    """Where a command is to work."""

    options: tuple[str, ...]
    data: Path
    server: Server | None

    def break_index(self) -> None:
        """So that it differs from the store: in memory, or else in its file."""
        if self.server:
            self.server._galleries._gallery("staff").index.rows.vectors[0] *= -1
            return
        path = self.data / "staff.index"
        content = bytearray(path.read_bytes())
        content[-20] ^= 1
        path.write_bytes(content)

    def damage(self) -> None:
        """The store: a bit of somebody's vector."""
        path = self.data / "mien.sqlite3"
        if self.server:
            self.server._galleries._store.journal.settle()
        with path.open("r+b") as file:
            at = file.read().index(person(2)[0].tobytes())
            file.seek(at)
            file.write(b"\xff")


@pytest.fixture
def data(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gallery_module, "SAVED_FROM", 1)  # of small galleries, too
    data = tmp_path / "data"
    filled(data, bundle.manifest.fingerprint)
    filled(data, "sha256:other", "other")
    falls_due(data, bundle.manifest.fingerprint)
    return data


@pytest.fixture
def server(bundle: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It does not look by itself who is due."""
    monkeypatch.setattr("mien.server.upkeep.Upkeep._try_to_expire", lambda _: None)
    with Server(Settings(bundle.folder, data, port=0)) as serving:
        yield serving


@pytest.fixture(params=["--data", "--server"])
def place(request: pytest.FixtureRequest, data: Path) -> Place:
    if request.param == "--data":
        return Place(("--data", str(data)), data, None)
    server = request.getfixturevalue("server")
    return Place(("--server", f"127.0.0.1:{server.port}"), data, server)


class TestStats:
    def test_as_json_has_these_fields(self, place: Place, bundle: Bundle) -> None:
        fields = told(run("stats", "staff", "--json", *place.options))
        created = fields.pop("create_time")
        assert created.endswith("Z")
        assert fields == {
            "gallery_id": "staff",
            "model_fingerprint": bundle.manifest.fingerprint,
            "dim": DIM,
            "subjects": 7,
            "samples": 18,
            "revision": 2,
            "labels": {},
            "index": "exact",
            "vector_bytes": 18 * DIM * 4,
        }

    def test_are_told_in_words(self, place: Place) -> None:
        printed = run("stats", "staff", *place.options).stdout
        assert printed.startswith("staff: 7 subjects, 18 samples, revision 2\nmodel ")
        assert "index: exact" in printed

    def test_tell_the_recall_of_an_inverted_file(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        measured = IndexStats("inverted file", 18, 7, 2, 32, 8, 0.993)
        monkeypatch.setattr(Galleries, "index_stats", lambda *_: measured)
        fields = told(run("stats", "staff", "--json", *place.options))
        assert (fields["index"], fields["lists"], fields["probes"], fields["recall"]) == (
            "inverted file",
            32,
            8,
            0.993,
        )
        printed = run("stats", "staff", *place.options).stdout
        assert "index: inverted file, 8 of 32 lists opened, recall 0.9930 measured" in printed


class TestFsck:
    def test_finds_nothing_wrong(self, place: Place) -> None:
        assert told(run("fsck", "staff", "--json", *place.options)) == {
            "findings": [],
            "subjects": 7,
            "samples": 18,
            "revision": 2,
        }
        assert "0 findings" in run("fsck", "staff", *place.options).stdout

    def test_repairs_what_is_derived(self, place: Place) -> None:
        place.break_index()
        fields = told(run("fsck", "staff", "--json", *place.options), status=1)
        (finding,) = fields["findings"]
        assert finding["what"] == ("index" if place.server else "index file")
        assert finding["repaired"] is True
        assert run("fsck", "staff", *place.options).exit_code == 0

    def test_only_looks_if_told_so(self, server: Server, data: Path) -> None:
        place = Place(("--server", f"127.0.0.1:{server.port}"), data, server)
        place.break_index()
        for _ in range(2):
            finished = run("fsck", "staff", "--check-only", *place.options)
            assert finished.exit_code == 1
            assert finished.stdout.startswith("index: ")
            assert "repaired" not in finished.stdout

    def test_tells_a_damaged_store_by_its_exit_status(self, place: Place) -> None:
        place.damage()
        fields = told(run("fsck", "staff", "--json", *place.options), status=3)
        assert [each["what"] for each in fields["findings"]] == ["sample"]
        assert fields["findings"][0]["repaired"] is False
        assert "its checksum differs" in run("fsck", "staff", *place.options).stdout


class TestSnapshotAndRestore:
    def test_bring_a_gallery_back(self, place: Place, tmp_path: Path) -> None:
        taken = told(run("snapshot", "staff", "--out", tmp_path / "s", "--json", *place.options))
        assert set(taken) == {
            "gallery_id",
            "model_fingerprint",
            "dim",
            "revision",
            "subjects",
            "samples",
            "take_time",
        }
        assert (taken["subjects"], taken["samples"], taken["revision"]) == (7, 18, 2)
        back = told(run("restore", tmp_path / "s", "--as", "again", "--json", *place.options))
        assert (back["gallery_id"], back["subjects"], back["samples"]) == ("again", 7, 18)
        assert back["revision"] > 2
        assert run("fsck", "again", *place.options).exit_code == 0

    def test_say_what_they_did(self, place: Place, tmp_path: Path) -> None:
        taken = run("snapshot", "staff", "--out", tmp_path / "s", *place.options)
        assert taken.stdout == f"{tmp_path / 's'}: staff at revision 2, 7 subjects, 18 samples\n"
        back = run("restore", tmp_path / "s", "--as", "again", *place.options)
        assert back.stdout.startswith("restored again: 7 subjects, 18 samples, revision ")

    def test_a_snapshot_never_replaces_a_file(self, place: Place, tmp_path: Path) -> None:
        (tmp_path / "s").write_bytes(b"old")
        sentence = refused(run("snapshot", "staff", "--out", tmp_path / "s", *place.options))
        assert "is there already" in sentence
        assert (tmp_path / "s").read_bytes() == b"old"

    def test_into_a_gallery_that_is_there_nothing_is_restored(
        self, place: Place, tmp_path: Path
    ) -> None:
        run("snapshot", "staff", "--out", tmp_path / "s", *place.options)
        sentence = refused(run("restore", tmp_path / "s", "--as", "other", *place.options))
        assert "gallery 'other' exists" in sentence

    @pytest.mark.parametrize("content", [b"", b"no snapshot" * 1000])
    def test_what_is_no_snapshot_is_refused(
        self, place: Place, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "s").write_bytes(content)
        sentence = refused(run("restore", tmp_path / "s", "--as", "again", *place.options))
        assert "no snapshot that can be restored" in sentence

    def test_a_truncated_snapshot_is_refused(self, place: Place, tmp_path: Path) -> None:
        run("snapshot", "staff", "--out", tmp_path / "s", *place.options)
        (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-5000])
        sentence = refused(run("restore", tmp_path / "s", "--as", "again", *place.options))
        assert "no snapshot that can be restored" in sentence
        assert "no gallery 'again'" in refused(run("stats", "again", *place.options))

    def test_another_models_snapshot_is_refused_by_a_server(
        self, server: Server, tmp_path: Path
    ) -> None:
        address = ("--server", f"127.0.0.1:{server.port}")
        run("snapshot", "other", "--out", tmp_path / "s", *address)
        assert "sha256:other" in refused(run("restore", tmp_path / "s", "--as", "a", *address))

    def test_a_lost_directory_is_made_anew_of_a_snapshot(self, data: Path, tmp_path: Path) -> None:
        run("snapshot", "staff", "--out", tmp_path / "s", "--data", data)
        new = ("--data", str(tmp_path / "new"))
        assert run("restore", tmp_path / "s", "--as", "staff", *new).exit_code == 0
        assert told(run("stats", "staff", "--json", *new))["subjects"] == 7


class TestExport:
    def test_a_line_is_read_back_as_a_message(self, place: Place, tmp_path: Path) -> None:
        done = told(run("export", "staff", "--embeddings", "--out", tmp_path / "e", "--json",
                        *place.options))  # fmt: skip
        assert done == {"gallery_id": "staff", "subjects": 7, "samples": 18}
        lines = (tmp_path / "e").read_text().splitlines()
        people = [json_format.Parse(each, gallery_pb2.SubjectExport()) for each in lines]
        assert [each.subject.subject_id for each in people][-2:] == ["p4", "p5"]
        by_id = {each.subject.subject_id: each for each in people}
        vectors = [np.frombuffer(each.f32le, "<f4") for each in by_id["p1"].embeddings]
        np.testing.assert_array_equal(vectors, person(1))
        assert by_id["p1"].subject.samples[0].source == "1.jpg"

    def test_what_was_exported_can_be_enrolled_again(
        self, place: Place, tmp_path: Path, bundle: Bundle
    ) -> None:
        run("export", "staff", "--embeddings", "--out", tmp_path / "e", *place.options)
        items = []
        for each in (tmp_path / "e").read_text().splitlines():
            held = json_format.Parse(each, gallery_pb2.SubjectExport())
            for sample, embedding in zip(held.subject.samples, held.embeddings, strict=True):
                vector = np.frombuffer(embedding.f32le, "<f4")
                items.append(Enrolment(held.subject.subject_id, vector, sample.content_sha256))
        with Galleries(tmp_path / "new") as galleries:
            galleries.create("staff", bundle.manifest.fingerprint, DIM)
            galleries.enroll_many("staff", items, bundle.manifest.fingerprint)
            info = galleries.get("staff")
            found = galleries.search("staff", person(3)[1], bundle.manifest.fingerprint, limit=1)
        assert (info.subjects, info.samples) == (7, 18)
        assert found.matches[0].subject_id == "p3"
        assert found.matches[0].similarity == pytest.approx(1)

    def test_of_one_subject_has_one_line(self, place: Place, tmp_path: Path) -> None:
        finished = run("export", "staff", "--subject", "p2", "--out", tmp_path / "e",
                       *place.options)  # fmt: skip
        assert finished.stdout == f"{tmp_path / 'e'}: 1 subjects, 3 samples of staff\n"
        (line,) = (tmp_path / "e").read_text().splitlines()
        assert json.loads(line)["subject"]["subject_id"] == "p2"
        assert json.loads(line)["embeddings"] == []

    def test_of_who_is_missing_leaves_no_file(self, place: Place, tmp_path: Path) -> None:
        sentence = refused(run("export", "staff", "--subject", "nobody", "--out", tmp_path / "e",
                               *place.options))  # fmt: skip
        assert "nobody" in sentence
        assert not (tmp_path / "e").exists()

    def test_never_replaces_a_file(self, place: Place, tmp_path: Path) -> None:
        (tmp_path / "e").write_text("old")
        assert "is there already" in refused(
            run("export", "staff", "--out", tmp_path / "e", *place.options)
        )
        assert (tmp_path / "e").read_text() == "old"


class TestDuplicates:
    def test_as_json_have_these_fields(self, place: Place) -> None:
        fields = told(run("duplicates", "staff", "--threshold", "0.8", "--json", *place.options))
        assert {"pairs", "misfits", "applied", "gallery_revision", "truncated", "subjects",
                "samples"} <= set(fields)  # fmt: skip
        assert (fields["subjects"], fields["samples"], fields["gallery_revision"]) == (7, 18, 2)
        pairs = [(each["subject_a"], each["subject_b"]) for each in fields["pairs"]]
        assert ("p4", "p5") in pairs
        scores = [each["score"]["similarity"] for each in fields["pairs"]]
        assert scores == sorted(scores, reverse=True)
        (misfit,) = fields["misfits"]
        assert (misfit["subject_id"], misfit["nearest_subject_id"]) == ("p0", "p1")
        assert ("expected_false_pairs" in fields) == (place.server is not None)

    def test_at_a_rate_say_how_many_are_expected_to_be_false(
        self, place: Place, bundle: Bundle
    ) -> None:
        calibrated = () if place.server else ("--bundle", str(bundle.folder))
        asked = ("duplicates", "staff", "--fmr", "0.05", *calibrated, *place.options)
        fields = told(run(*asked, "--json"))
        assert fields["expected_false_pairs"] <= 21 * 0.05
        assert fields["applied"]["identities"] == 40
        printed = run(*asked).stdout
        assert "p4 = p5" in printed
        assert "of 21 pairs of subjects about" in printed
        assert "measured on 40 people" in printed

    def test_are_told_in_words_the_most_alike_first(self, place: Place) -> None:
        lines = run("duplicates", "staff", "--threshold", "0.8", *place.options).stdout.splitlines()
        similarities = [float(line.split()[0]) for line in lines if " = " in line]
        assert similarities == sorted(similarities, reverse=True)
        assert any(line.endswith("is not like p0, but p1") for line in lines)
        assert (
            f"{len(similarities)} pairs of 7 subjects, 1 of 18 samples"
            in lines[len(similarities) + 1]
        )

    def test_more_than_the_limit_is_said(self, place: Place) -> None:
        printed = run("duplicates", "staff", "--threshold", "-1", "--limit", "2", *place.options)
        assert "there are more; ask for more with --limit" in printed.stdout

    def test_a_rate_that_cannot_be_supported_is_refused(self, place: Place, bundle: Bundle) -> None:
        calibrated = () if place.server else ("--bundle", str(bundle.folder))
        sentence = refused(run("duplicates", "staff", "--fmr", "1e-6", *calibrated, *place.options))
        assert "the calibration of 40 people supports" in sentence

    def test_the_calibration_of_another_model_is_refused(
        self, place: Place, bundle: Bundle
    ) -> None:
        calibrated = () if place.server else ("--bundle", str(bundle.folder))
        sentence = refused(run("duplicates", "other", "--fmr", "0.1", *calibrated, *place.options))
        assert "bound to model 'sha256:other'" in sentence

    def test_without_a_calibration_there_is_no_rate(self, data: Path, tmp_path: Path) -> None:
        folder = bundles.uncalibrated(tmp_path / "bundle").folder
        sentence = refused(
            run("duplicates", "staff", "--fmr", "0.1", "--bundle", folder, "--data", data)
        )
        assert "not calibrated" in sentence

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--server", "127.0.0.1:1"), "either --fmr or --threshold"),
            (("--fmr", "0.1", "--threshold", "0.5"), "either --fmr or --threshold"),
            (("--fmr", "0.1", "--bundle", "."), "--bundle is for --data"),
            (("--fmr", "1.5"), "not in the range 0<x<1"),
            (("--fmr", "0.1", "--limit", "0"), "not in the range"),
        ],
    )
    def test_options_that_do_not_go_together_are_refused(
        self, options: tuple[str, ...], message: str
    ) -> None:
        assert message in refused(run("duplicates", "staff", *options))


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


class TestExpire:
    def test_lets_go_of_who_is_due_and_says_so(self, place: Place) -> None:
        assert told(run("expire", "--json", *place.options)) == {
            "galleries": [{"gallery_id": "staff", "subjects": 1, "samples": 1, "revision": 3}]
        }
        assert run("expire", *place.options).stdout == "nobody is due\n"
        assert told(run("expire", "--json", *place.options)) == {"galleries": []}

    def test_tells_it_in_words(self, place: Place) -> None:
        printed = run("expire", *place.options).stdout
        assert printed == "staff: 1 subjects and 1 samples went; revision 3\n"
        assert DUE not in printed


def command_line(command: str, gallery: str, folder: Path) -> tuple[str | Path, ...]:
    """A command with what it must be given."""
    snapshot = folder / "a snapshot"
    snapshot.touch()
    return {
        "stats": ("stats", gallery),
        "fsck": ("fsck", gallery),
        "snapshot": ("snapshot", gallery, "--out", folder / "out"),
        "restore": ("restore", snapshot, "--as", gallery),
        "export": ("export", gallery, "--out", folder / "out"),
        "duplicates": ("duplicates", gallery, "--threshold", "0.5"),
        "prove-absent": ("prove-absent", "--text", "somebody"),
        "expire": ("expire",),
    }[command]


NAMING = [each for each in COMMANDS if each not in ("prove-absent", "expire")]


@pytest.mark.parametrize("command", [each for each in NAMING if each != "restore"])
def test_a_missing_gallery_is_refused(place: Place, tmp_path: Path, command: str) -> None:
    asked = command_line(command, "staf", tmp_path)
    assert "did you mean 'staff'?" in refused(run(*asked, *place.options))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", NAMING)
def test_what_can_be_no_gallery_is_refused(place: Place, tmp_path: Path, command: str) -> None:
    asked = command_line(command, "../x", tmp_path)
    assert "'../x' is not accepted" in refused(run(*asked, *place.options))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_a_server_has_is_refused_with_who_has_it(
    server: Server, data: Path, tmp_path: Path, command: str
) -> None:
    asked = command_line(command, "staff", tmp_path)
    sentence = refused(run(*asked, "--data", data))
    assert f"is in use by process {os.getpid()}" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "restore"])
def test_a_directory_without_galleries_is_refused_and_not_made(
    tmp_path: Path, command: str
) -> None:
    asked = command_line(command, "staff", tmp_path)
    sentence = refused(run(*asked, "--data", tmp_path / "typo"))
    assert "is no data directory, since it has no mien.sqlite3" in sentence
    assert not (tmp_path / "typo").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if each not in ("fsck", "prove-absent")]
)
def test_a_store_that_is_no_database_is_refused(data: Path, tmp_path: Path, command: str) -> None:
    """fsck tells it by its exit status, and prove-absent reads the bytes of any file."""
    (data / "mien.sqlite3").write_bytes(b"no database" * 1000)
    asked = command_line(command, "new", tmp_path)
    assert "cannot be used as the database" in refused(run(*asked, "--data", data))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_is_not_there_is_refused(tmp_path: Path, command: str) -> None:
    asked = command_line(command, "staff", tmp_path)
    sentence = refused(run(*asked, "--server", "127.0.0.1:1"))
    assert "is `mien serve` running there?" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_and_a_directory_exclude_each_other(tmp_path: Path, command: str) -> None:
    asked = command_line(command, "staff", tmp_path)
    both = run(*asked, "--data", tmp_path, "--server", "127.0.0.1:1")
    assert "--data and --server exclude each other" in refused(both)


def test_a_server_named_by_the_environment_gives_way_to_a_directory(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_SERVER", "127.0.0.1:1")
    assert run("stats", "staff", "--data", data).exit_code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_place_and_prints_json(command: str) -> None:
    options = {
        option
        for parameter in gallery_group.commands[command].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert {"--data", "--server", "--json"} <= options


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documentation(command: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "galleries.md").read_text()
    assert f"`mien gallery {command}" in text


def test_a_real_process_does_it_too(data: Path, tmp_path: Path) -> None:
    printed = run_process("mien", "gallery", "stats", "staff", "--json", "--data", data)
    assert printed.returncode == 0, printed
    assert json.loads(printed.stdout)["subjects"] == 7
    np.save(tmp_path / "v.npy", looks(1, seed=1234, dim=DIM)[0])
    absent = run_process("mien", "gallery", "prove-absent", "--vector", tmp_path / "v.npy",
                         "--data", data)  # fmt: skip
    assert absent.returncode == 0, absent


def prove_absent_elsewhere(data: Path, vector: Path) -> str:
    """The traces, found by another process: this one has the galleries open."""
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from mien.gallery.prove import prove_absent\n"
        "print(*prove_absent(Path(sys.argv[1]), np.load(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(data), str(vector)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
