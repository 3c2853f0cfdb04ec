"""Statistics, checks, exports, expiry and proofs over a real socket."""

import numpy as np
import pytest

from mien.client import Client
from mien.errors import (
    GalleryNotFound,
    InvalidEmbedding,
    InvalidId,
    InvalidRequest,
    SubjectNotFound,
)
from mien.maintenance import Maintenance
from mien.matching.metrics import Vectors
from mien.server.server import Server
from mien.v1 import maintenance_pb2
from tests.gallery.looks import sha256
from tests.server.galleries import DIM, DUE, person

SUBJECTS, SAMPLES = 6, 17


class TestStats:
    def test_tell_what_a_gallery_holds_and_how_it_is_searched(self, keeper: Maintenance) -> None:
        stats = keeper.stats("staff")
        gallery = stats.gallery
        assert (gallery.subjects, gallery.samples, gallery.revision) == (SUBJECTS, SAMPLES, 1)
        assert (gallery.dim, stats.index, stats.vector_bytes) == (DIM, "exact", 4 * DIM * SAMPLES)
        assert not stats.HasField("recall")

    def test_of_a_missing_gallery_are_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(GalleryNotFound):
            keeper.stats("none")
        with pytest.raises(InvalidId):
            keeper.stats("../x")


class TestCheck:
    def test_finds_nothing_wrong(self, keeper: Maintenance) -> None:
        found = keeper.check("staff")
        assert (list(found.findings), found.subjects, found.samples) == ([], SUBJECTS, SAMPLES)

    @pytest.mark.parametrize("check_only", [True, False])
    def test_a_wrong_index_is_told_and_repaired_unless_only_looked_at(
        self, keeper: Maintenance, server: Server, check_only: bool
    ) -> None:
        server._galleries._gallery("staff").index.rows.vectors[0] *= -1
        found = keeper.check("staff", check_only=check_only)
        assert [(f.what, f.repaired) for f in found.findings] == [("index", not check_only)]
        assert len(keeper.check("staff", check_only=True).findings) == check_only

    def test_of_a_missing_gallery_is_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(GalleryNotFound):
            keeper.check("none")


class TestExport:
    def test_has_everybody_in_order(self, keeper: Maintenance) -> None:
        people = list(keeper.export("staff"))
        assert [each.subject.subject_id for each in people] == [f"p{n}" for n in range(SUBJECTS)]
        assert sum(len(each.subject.samples) for each in people) == SAMPLES
        assert not any(each.embeddings for each in people)

    def test_has_vectors_if_asked(self, keeper: Maintenance) -> None:
        (one,) = keeper.export("staff", "p1", embeddings=True)
        vectors = [np.frombuffer(each.f32le, "<f4") for each in one.embeddings]
        np.testing.assert_array_equal(vectors, person(1))

    def test_of_more_than_a_page_has_all(
        self, keeper: Maintenance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mien.server.servicers.maintenance.PAGE", 2)
        assert len(list(keeper.export("staff"))) == SUBJECTS

    def test_leaves_out_who_is_deleted_meanwhile(
        self, server: Server, keeper: Maintenance, client: Client
    ) -> None:
        export = server._galleries.export_subject

        def deleting(gallery: str, subject: str) -> object:
            if subject == "p1":
                server._galleries.delete_subject(gallery, subject)
            return export(gallery, subject)

        server._galleries.export_subject = deleting  # type: ignore[method-assign,assignment]
        assert [each.subject.subject_id for each in keeper.export("staff")] == [
            "p0",
            "p2",
            "p3",
            "p4",
            "p5",
        ]

    def test_of_who_is_missing_is_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(GalleryNotFound):
            list(keeper.export("none"))
        with pytest.raises(SubjectNotFound):
            list(keeper.export("staff", "nobody"))


class TestExpire:
    def test_lets_go_of_who_is_due_and_says_so(self, keeper: Maintenance, client: Client) -> None:
        (expired,) = keeper.expire().galleries
        assert (expired.gallery_id, expired.subjects, expired.samples) == ("other", 1, 1)
        assert expired.revision == client.get_gallery("other").revision
        assert list(keeper.expire().galleries) == []
        with pytest.raises(SubjectNotFound):
            list(keeper.export("other", DUE))


class TestProveAbsent:
    def request(
        self, vector: Vectors | None = None, content_sha256: str = "", text: str = ""
    ) -> maintenance_pb2.ProveAbsentRequest:
        request = maintenance_pb2.ProveAbsentRequest(content_sha256=content_sha256, text=text)
        if vector is not None:
            request.embedding.f32le, request.embedding.dim = vector.tobytes(), len(vector)
        return request

    def test_finds_who_is_there(self, keeper: Maintenance) -> None:
        vector = person(1)[0]
        found = keeper.prove_absent(self.request(vector, text="p1"))
        assert {trace.what for trace in found.traces} >= {"vector from value 0", "text"}
        assert all(trace.file.startswith("mien.sqlite3") for trace in found.traces)
        assert found.files >= 2
        assert found.bytes > 4 * DIM * SAMPLES

    def test_finds_nothing_of_who_is_gone(self, keeper: Maintenance, client: Client) -> None:
        client.delete_subject("staff", "p2")
        client.delete_gallery("other")
        for vector in person(2):
            asked = self.request(vector, content_sha256=sha256(vector))
            assert list(keeper.prove_absent(asked).traces) == []

    def test_of_nothing_or_of_what_is_none_is_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(InvalidRequest, match="nothing to look for"):
            keeper.prove_absent(self.request())
        with pytest.raises(InvalidRequest, match="64 hexadecimal digits"):
            keeper.prove_absent(self.request(content_sha256="ABC"))
        bad = self.request(person(1)[0])
        bad.embedding.dim = 3
        with pytest.raises(InvalidEmbedding):
            keeper.prove_absent(bad)

    def test_the_server_goes_on_as_before(self, keeper: Maintenance, client: Client) -> None:
        keeper.prove_absent(self.request(text="nobody"))
        client.delete_subject("staff", "p3")
        assert client.get_gallery("staff").subjects == SUBJECTS - 1
