"""What all commands of who keeps galleries do alike, and those that check and forget."""

import json
import os
from pathlib import Path

import click
import numpy as np
import pytest

from mien.cli.gallery import gallery as gallery_group
from mien.gallery.galleries import Galleries
from mien.gallery.index.sample_index import IndexStats
from mien.model.bundle import Bundle
from mien.server.server import Server
from tests.cli.keeping import Place, refused, run, told
from tests.gallery.looks import looks
from tests.processes import run as run_process
from tests.server.galleries import DIM, DUE

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
