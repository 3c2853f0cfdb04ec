"""Galleries into files and back by command: snapshots and exports."""

import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import json_format

from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.v1 import gallery_pb2
from tests.cli.keeping import Place, refused, run, told
from tests.server.galleries import DIM, person


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
