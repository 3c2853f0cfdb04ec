"""FindDuplicates over a real socket: answers and refusals."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.client import Client
from mien.errors import (
    GalleryNotFound,
    InvalidId,
    InvalidRequest,
    MienError,
    ModelMismatch,
    NotCalibrated,
    UnsupportedOperatingPoint,
)
from mien.gallery.galleries import Galleries
from mien.maintenance import Maintenance
from mien.matching.decision import TargetFMR
from mien.model.bundle import Bundle
from mien.server.maintenance.duplicates import find_duplicates
from mien.server.server import Server
from mien.v1 import match_pb2
from tests.server.maintenance.room import PATIENCE

SUBJECTS, SAMPLES = 6, 17


class TestDuplicates:
    def ask(
        self, keeper: Maintenance, gallery: str = "staff", **asked: float
    ) -> tuple[
        list[match_pb2.DuplicatePair],
        list[match_pb2.Misfit],
        match_pb2.FindDuplicatesResponse.Summary,
    ]:
        request = match_pb2.FindDuplicatesRequest(gallery_id=gallery, **asked)  # type: ignore[arg-type]
        *found, last = keeper.duplicates(request)
        kinds = [str(each.WhichOneof("finding")) for each in found]
        assert kinds == sorted(kinds, reverse=True)  # pairs come first
        return (
            [each.pair for each in found if each.HasField("pair")],
            [each.misfit for each in found if each.HasField("misfit")],
            last.summary,
        )

    def test_are_pairs_of_one_person_and_samples_of_another(self, keeper: Maintenance) -> None:
        pairs, misfits, summary = self.ask(keeper, raw_threshold=0.8)
        first, second = pairs[0], pairs[-1]
        assert {(p.subject_a, p.subject_b) for p in pairs} >= {("p4", "p5")}
        assert first.score.similarity >= second.score.similarity > 0.8
        assert [(m.subject_id, m.nearest_subject_id) for m in misfits] == [("p0", "p1")]
        assert (summary.subjects, summary.samples) == (SUBJECTS, SAMPLES)
        assert (summary.gallery_revision, summary.truncated) == (1, False)
        assert summary.applied.threshold == pytest.approx(0.8)

    def test_at_a_rate_tell_how_many_are_expected_to_be_false(self, keeper: Maintenance) -> None:
        pairs, _, summary = self.ask(keeper, target_fmr=0.05)
        assert ("p4", "p5") in [(each.subject_a, each.subject_b) for each in pairs]
        assert summary.applied.fpir_at_n <= 0.05
        assert summary.expected_false_pairs == pytest.approx(15 * summary.applied.fpir_at_n)
        assert all(pair.score.HasField("expected_fmr") for pair in pairs)

    def test_by_default_are_decided_at_the_servers_rate(self, bundle: Bundle, data: Path) -> None:
        with Galleries(data) as galleries:
            request = match_pb2.FindDuplicatesRequest(gallery_id="staff")
            asked = [
                list(find_duplicates(galleries, bundle.calibration, each, rate, lambda: None))[-1]
                for each, rate in (
                    (request, TargetFMR(0.1)),
                    (
                        match_pb2.FindDuplicatesRequest(gallery_id="staff", target_fmr=0.1),
                        TargetFMR(0.5),
                    ),
                )
            ]
        assert asked[0] == asked[1]

    def test_of_more_than_are_wanted_the_first_are_told(self, keeper: Maintenance) -> None:
        pairs, _, summary = self.ask(keeper, raw_threshold=-1, max_findings=3)
        everyone, _, whole = self.ask(keeper, raw_threshold=-1)
        assert (len(pairs), len(everyone)) == (3, 15)
        assert pairs == everyone[:3]
        assert (summary.truncated, whole.truncated) == (True, False)

    @pytest.mark.parametrize(
        ("gallery", "asked", "expected"),
        [
            ("none", {"target_fmr": 0.1}, GalleryNotFound),
            ("../x", {"target_fmr": 0.1}, InvalidId),
            ("staff", {"target_fmr": 1.5}, InvalidRequest),
            ("staff", {"target_fmr": 1e-6}, UnsupportedOperatingPoint),
            ("staff", {"raw_threshold": 2}, InvalidRequest),
            ("staff", {"raw_threshold": 0.5, "target_fmr": 0.1}, InvalidRequest),
            ("staff", {"max_findings": 10_001}, InvalidRequest),
            ("other", {"target_fmr": 0.1}, ModelMismatch),
        ],
    )
    def test_that_cannot_be_decided_are_refused(
        self,
        keeper: Maintenance,
        gallery: str,
        asked: dict[str, float],
        expected: type[MienError],
    ) -> None:
        with pytest.raises(expected):
            self.ask(keeper, gallery, **asked)

    def test_of_another_model_are_found_by_a_threshold(self, keeper: Maintenance) -> None:
        pairs, _, summary = self.ask(keeper, "other", raw_threshold=0.8)
        assert ("p4", "p5") in [(each.subject_a, each.subject_b) for each in pairs]
        assert not summary.HasField("expected_false_pairs")
        assert not summary.applied.HasField("fmr")

    def test_without_a_calibration_need_a_threshold(self, data: Path) -> None:
        with Galleries(data) as galleries:
            request = match_pb2.FindDuplicatesRequest(gallery_id="staff", target_fmr=0.1)
            with pytest.raises(NotCalibrated):
                list(find_duplicates(galleries, None, request, TargetFMR(0.1), lambda: None))

    def test_of_nobody_are_none(self, keeper: Maintenance, client: Client) -> None:
        client.create_gallery("empty")
        pairs, misfits, summary = self.ask(keeper, "empty", target_fmr=0.1)
        assert (pairs, misfits, summary.subjects) == ([], [], 0)
        assert summary.expected_false_pairs == 0

    def test_by_the_mean_are_found_by_the_mean(self, data: Path, bundle: Bundle) -> None:
        assert bundle.calibration
        calibration = bundle.calibration.model_copy(update={"fusion": "mean"})
        request = match_pb2.FindDuplicatesRequest(gallery_id="staff", raw_threshold=0.8)
        with Galleries(data) as galleries:
            rate = TargetFMR(0.1)
            *found, last = find_duplicates(galleries, calibration, request, rate, lambda: None)
        # One strange sample of four makes p0 no p1 on average.
        assert [(f.pair.subject_a, f.pair.subject_b) for f in found if f.HasField("pair")] == [
            ("p4", "p5")
        ]
        assert last.HasField("summary")


def test_a_search_for_duplicates_ends_when_nobody_waits(
    keeper: Maintenance, client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(*_: object, alive: Callable[[], None], **__: object) -> None:
        begun.set()
        try:
            while True:
                alive()
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("mien.server.maintenance.duplicates.duplicates.find", endless)
    request = match_pb2.FindDuplicatesRequest(gallery_id="staff", raw_threshold=0.8)
    call = keeper._match.FindDuplicates(request)
    assert begun.wait(PATIENCE)
    call.cancel()
    assert ended.wait(PATIENCE)
