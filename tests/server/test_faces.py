"""Photographs over a real socket: which face, where, how good, and what is wrong with the others.

The detector finds portraits made by code; the last tests are of YuNet and real photographs.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien import errors, stages
from mien.client import AsyncClient, Client, enrolment, picture, search
from mien.matching.decision import RawThreshold, TargetFPIR, decide
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.server import server as servers
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1.embedding_pb2 import Embedded, EmbedStreamResponse
from mien.v1.probe_pb2 import (
    MULTI_FACE_POLICY_ALL,
    MULTI_FACE_POLICY_LARGEST,
    MULTI_FACE_POLICY_REJECT,
    Box,
    Image,
    Quality,
    SubjectRef,
)
from mien.vision.faces import Face
from mien.vision.yunet import YuNet
from tests import bundles
from tests.processes import run
from tests.server.sent import reasons
from tests.vision.portraits import Patches, face, file, photograph
from tests.vision.shared import YUNET_FILE, needs_photos, some

HEIGHT, WIDTH = 480, 640
ONE, TWO = face(200, 240, 2), face(470, 240, 1.5)
TINY = face(600, 40, 0.2)
WRONG = ["FACE_TOO_SMALL", "LOW_SHARPNESS", "LOW_BRIGHTNESS"]
"""With TINY where it is blurred, too."""


def photo(*faces: Face, person: int = 1, blur: float = 0) -> bytes:
    return file(photograph(*faces, person=person, blur=blur))


def shares(seen: Face) -> tuple[float, float, float, float]:
    x, y, width, height = seen.box
    return x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT


def as_tuple(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


def is_at(box: Box, seen: Face) -> bool:
    return as_tuple(box) == pytest.approx(shares(seen), abs=0.01)


def vector(embedded: Embedded) -> np.ndarray:
    return np.frombuffer(embedded.embedding.f32le, "<f4")


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.aligned_calibrated(tmp_path_factory.mktemp("aligned") / "projection")


@pytest.fixture
def server(aligned: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(servers, "detector_for", lambda alignment, model: Patches())
    with Server(Settings(aligned.folder, tmp_path / "data", port=0)) as serving:
        yield serving


@pytest.fixture
def gallery(client: Client) -> str:
    """Four people, a photograph of each."""
    client.create_gallery("people")
    for person in range(1, 5):
        client.enroll("people", f"person-{person}", photo(face(320, 240, 2), person=person))
    return "people"


class TestEmbed:
    def test_it_tells_where_the_face_is_and_how_good(self, client: Client) -> None:
        (item,) = client.embed([photo(ONE)]).items
        assert is_at(item.ok.box, ONE)
        quality = item.ok.quality
        assert quality.score == pytest.approx(0.95)
        assert quality.min_side_px == pytest.approx(ONE.box.width, rel=0.02)
        assert 0 < quality.brightness < 1
        assert quality.sharpness > 10
        assert np.linalg.norm(vector(item.ok)) == pytest.approx(1, abs=1e-5)

    def test_its_measures_are_those_of_the_pipeline(self, client: Client, aligned: Bundle) -> None:
        (own,) = Pipeline(aligned, detector=Patches()).faces(photo(ONE)).embedded
        quality = client.embed([photo(ONE)]).items[0].ok.quality
        assert own.quality is not None
        assert quality.sharpness == pytest.approx(own.quality.sharpness)
        assert quality.brightness == pytest.approx(own.quality.brightness / 255)
        assert reasons(quality.warnings) == [each.reason for each in own.warnings]

    def test_what_is_near_a_limit_is_warned_of(self, client: Client) -> None:
        small = client.embed([photo(face(200, 200, 0.6))]).items[0].ok.quality
        assert "FACE_TOO_SMALL" in reasons(small.warnings)

    def test_several_faces_are_refused_unless_the_largest_is_asked_for(
        self, client: Client
    ) -> None:
        both = photo(ONE, TWO)
        for policy in (0, MULTI_FACE_POLICY_REJECT):
            (item,) = client.embed([both], multi_face=policy).items  # type: ignore[arg-type]
            assert reasons(item.rejected.reasons) == ["MULTIPLE_FACES"]
        (item,) = client.embed([both], multi_face=MULTI_FACE_POLICY_LARGEST).items
        assert is_at(item.ok.box, ONE)
        with pytest.raises(errors.InvalidRequest, match="for Identify"):
            client.embed([both], multi_face=MULTI_FACE_POLICY_ALL)

    def test_a_target_says_which_face_is_meant(self, client: Client) -> None:
        both = photo(ONE, TWO)
        one, two, alone = client.embed(
            [picture(both, shares(ONE)), picture(both, shares(TWO)), photo(TWO, person=2)]
        ).items
        assert is_at(one.ok.box, ONE)
        assert is_at(two.ok.box, TWO)
        assert vector(two.ok) @ vector(alone.ok) > 0.999
        assert vector(one.ok) @ vector(two.ok) < 0.9

    def test_what_is_wrong_with_a_target_is_an_outcome_of_its_picture(self, client: Client) -> None:
        one, nan = photo(ONE), float("nan")
        items = client.embed(
            [
                picture(one, shares(TWO)),
                picture(one, (1.5, 0, 0.1, 0.1)),
                picture(one, (0, 0, 0, 0.1)),
                picture(one, (nan, 0, 0.1, 0.1)),
                one,
            ]
        ).items
        found = [reasons(item.rejected.reasons) for item in items]
        assert found == [["NO_FACE"], *[["INVALID_REQUEST"]] * 3, []]
        assert "shares of the picture" in items[2].rejected.message

    def test_a_refused_face_has_all_reasons_and_a_sentence_of_each(self, client: Client) -> None:
        (item,) = client.embed([photo(TINY, blur=30)]).items
        assert reasons(item.rejected.reasons) == WRONG
        assert "pixels wide" in item.rejected.message
        assert "sharpness" in item.rejected.message

    def test_a_stream_does_the_same(self, client: Client) -> None:
        both = photo(ONE, TWO)
        sent: list[tuple[str, bytes | Image]] = [
            ("two", picture(both, shares(TWO))),
            ("any", both),
            ("bad", photo(TINY, blur=30)),
        ]
        answers = {each.tag: each for each in client.embed_stream(sent, MULTI_FACE_POLICY_LARGEST)}
        assert is_at(answers["two"].ok.box, TWO)
        assert is_at(answers["any"].ok.box, ONE)
        assert reasons(answers["bad"].rejected.reasons) == WRONG


class TestVerify:
    def test_it_tells_the_quality_of_both_sides_in_their_order(self, client: Client) -> None:
        small = face(300, 240, 0.6)
        response = client.verify(photo(ONE), photo(small), RawThreshold(0.5))
        assert response.match
        first, second = response.quality
        assert first.min_side_px > second.min_side_px
        assert "FACE_TOO_SMALL" in reasons(second.warnings)
        again = client.verify(photo(small), photo(ONE), RawThreshold(0.5))
        assert list(again.quality) == [second, first]

    def test_a_side_that_is_no_picture_has_none(self, client: Client, gallery: str) -> None:
        subject = SubjectRef(gallery_id=gallery, subject_id="person-1")
        response = client.verify(subject, photo(ONE), RawThreshold(0.5))
        assert response.match
        assert response.quality[0] == Quality()
        assert response.quality[1].score
        assert not client.verify(subject, subject, RawThreshold(0.5)).quality

    def test_both_sides_keep_policy_and_target(self, client: Client) -> None:
        both, two = photo(ONE, TWO), photo(TWO, person=2)
        with pytest.raises(errors.MultipleFaces):
            client.verify(both, two, RawThreshold(0.95))
        largest = client.verify(both, two, RawThreshold(0.95), multi_face=MULTI_FACE_POLICY_LARGEST)
        assert not largest.match
        assert client.verify(two, picture(both, shares(TWO)), RawThreshold(0.95)).match

    def test_the_call_is_refused_with_all_reasons(self, client: Client) -> None:
        with pytest.raises(errors.FaceTooSmall, match="Also, ") as caught:
            client.verify(photo(ONE), photo(TINY, blur=30))
        assert caught.value.reasons == tuple(WRONG)
        with pytest.raises(errors.NoFace) as none:
            client.verify(photo(), photo(ONE))
        assert none.value.reasons == ("NO_FACE",)


class TestIdentify:
    @pytest.mark.parametrize("policy", [0, MULTI_FACE_POLICY_ALL])
    def test_every_face_is_searched_the_largest_first(
        self, client: Client, gallery: str, policy: int
    ) -> None:
        response = client.identify(
            gallery,
            photo(TWO, ONE, person=2),
            RawThreshold(0.95),
            multi_face=policy,  # type: ignore[arg-type]
        )
        assert [is_at(each.box, at) for each, at in zip(response.faces, (ONE, TWO), strict=True)]
        best = [each.candidates[0] for each in response.faces]
        assert [each.subject_id for each in best] == ["person-3", "person-2"]
        assert all(each.identified and each.quality.score for each in response.faces)
        assert not response.refused

    def test_one_threshold_is_of_the_whole_answer(
        self, client: Client, gallery: str, aligned: Bundle
    ) -> None:
        """n counts each subject once for each face."""
        policy = TargetFPIR(0.5)
        alone = client.identify(gallery, photo(ONE), policy).applied
        both = client.identify(gallery, photo(ONE, TWO), policy).applied
        assert (alone.n, both.n) == (4, 8)
        expected = decide(policy, aligned.calibration, subjects=4, probes=2)
        assert both.threshold == np.float32(expected.threshold)
        assert both.threshold > alone.threshold
        assert both.fpir_at_n <= 0.5
        assert both.fpir_at_n == pytest.approx(1 - (1 - both.fmr) ** 8)

    def test_the_largest_or_the_target_is_searched_alone(
        self, client: Client, gallery: str
    ) -> None:
        both = photo(ONE, TWO)
        largest = client.identify(
            gallery, both, RawThreshold(0.9), multi_face=MULTI_FACE_POLICY_LARGEST
        )
        target = client.identify(gallery, picture(both, shares(TWO)), RawThreshold(0.9))
        for response, person in ((largest, "person-1"), (target, "person-2")):
            (found,) = response.faces
            assert found.candidates[0].subject_id == person
            assert response.applied.n == 4
        with pytest.raises(errors.MultipleFaces):
            client.identify(gallery, both, multi_face=MULTI_FACE_POLICY_REJECT)

    def test_faces_of_no_use_are_told_and_do_not_count(self, client: Client, gallery: str) -> None:
        response = client.identify(gallery, photo(ONE, TINY), RawThreshold(0.9))
        assert [is_at(each.box, ONE) for each in response.faces] == [True]
        (refused,) = response.refused
        assert is_at(refused.box, TINY)
        assert "FACE_TOO_SMALL" in reasons(refused.rejected.reasons)
        assert "pixels wide" in refused.rejected.message
        assert refused.quality.min_side_px == pytest.approx(TINY.box.width, rel=0.1)
        assert response.applied.n == 4

    def test_where_no_face_is_of_use_the_call_is_refused(
        self, client: Client, gallery: str
    ) -> None:
        with pytest.raises(errors.FaceTooSmall) as caught:
            client.identify(gallery, photo(TINY, face(100, 100, 0.15), blur=30))
        assert "LOW_SHARPNESS" in caught.value.reasons
        with pytest.raises(errors.NoFace):
            client.identify(gallery, photo())

    def test_each_face_is_explained(self, client: Client, gallery: str) -> None:
        response = client.identify(gallery, photo(ONE, TWO), RawThreshold(0.9), 1, explain=True)
        for each in response.faces:
            best = each.candidates[0]
            assert each.explanation.winning_sample_id == best.sample_id
            assert each.explanation.margin > 0
            assert each.explanation.nearest_other_subject_id != best.subject_id
        assert len({each.candidates[0].subject_id for each in response.faces}) == 2

    def test_who_was_found_in_any_face_was_matched(self, client: Client, gallery: str) -> None:
        client.identify(gallery, photo(ONE, TWO), RawThreshold(0.95))
        matched = {
            f"person-{number}"
            for number in range(1, 5)
            if client.export_subject(gallery, f"person-{number}").subject.last_match_time.seconds
        }
        assert matched == {"person-1", "person-2"}

    def test_a_stream_answers_the_same(self, client: Client, gallery: str) -> None:
        asked = search(gallery, photo(ONE, TINY), RawThreshold(0.9))
        none = search(gallery, photo(TINY, blur=30), RawThreshold(0.9))
        answers = {each.tag: each for each in client.identify_stream([("a", asked), ("b", none)])}
        alone = client.identify(gallery, photo(ONE, TINY), RawThreshold(0.9))
        assert answers["a"].response.faces == alone.faces
        assert answers["a"].response.refused == alone.refused
        assert reasons(answers["b"].rejected.reasons) == WRONG


class TestEnroll:
    def test_the_quality_is_kept_with_the_sample(self, client: Client, gallery: str) -> None:
        small = face(300, 240, 0.6)
        answered = client.enroll(gallery, "ann", photo(small, person=9)).sample.quality
        assert "FACE_TOO_SMALL" in reasons(answered.warnings)
        (got,) = client.get_subject(gallery, "ann").samples
        (exported,) = client.export_subject(gallery, "ann").subject.samples
        assert got.quality == exported.quality == answered
        assert answered == client.embed([photo(small, person=9)]).items[0].ok.quality

    def test_of_a_vector_nothing_was_measured(self, client: Client, gallery: str) -> None:
        embedding = client.embed([photo(ONE, person=9)]).items[0].ok.embedding
        assert not client.enroll(gallery, "ann", embedding).sample.HasField("quality")

    def test_each_of_two_faces_can_be_enrolled_by_its_target(
        self, client: Client, gallery: str
    ) -> None:
        both = photo(ONE, TWO, person=7)
        with pytest.raises(errors.MultipleFaces):
            client.enroll(gallery, "left", both)
        client.enroll(gallery, "left", picture(both, shares(ONE)))
        client.enroll(gallery, "right", picture(both, shares(TWO)))
        response = client.identify(gallery, both, RawThreshold(0.95))
        assert [each.candidates[0].subject_id for each in response.faces] == ["left", "right"]

    def test_another_face_of_the_same_picture_is_another_sample(
        self, client: Client, gallery: str
    ) -> None:
        both = photo(ONE, TWO, person=7)
        first = client.enroll(gallery, "ann", picture(both, shares(ONE)))
        again = client.enroll(gallery, "ann", picture(both, shares(ONE)))
        other = client.enroll(gallery, "ann", picture(both, shares(TWO)))
        assert (first.already_existed, again.already_existed) == (False, True)
        assert again.sample == first.sample
        assert not other.already_existed
        assert other.sample.content_sha256 != first.sample.content_sha256

    def test_a_batch_has_outcomes_with_quality_or_all_reasons(
        self, client: Client, gallery: str
    ) -> None:
        both = photo(ONE, TWO, person=7)
        samples = [
            enrolment(gallery, "a", both),
            enrolment(gallery, "b", both, multi_face=MULTI_FACE_POLICY_LARGEST),
            enrolment(gallery, "c", picture(both, shares(TWO))),
            enrolment(gallery, "d", photo(TINY, blur=30)),
        ]
        many, largest, target, bad = (each.response for each in client.enroll_batch(samples))
        assert reasons(many.rejected.reasons) == ["MULTIPLE_FACES"]
        assert largest.sample.quality.min_side_px > target.sample.quality.min_side_px
        assert reasons(bad.rejected.reasons) == WRONG

    def test_a_repetition_is_answered_as_the_first_time(self, client: Client, gallery: str) -> None:
        """Though the quality was measured anew: it is not what was asked."""
        first = client.enroll(gallery, "ann", photo(ONE, person=9), request_id="r-1")
        assert client.enroll(gallery, "ann", photo(ONE, person=9), request_id="r-1") == first

    def test_what_is_only_validated_is_measured(self, client: Client, gallery: str) -> None:
        answer = client.enroll(gallery, "ann", photo(ONE, person=9), validate_only=True)
        assert answer.sample.quality.score
        with pytest.raises(errors.FaceTooSmall):
            client.enroll(gallery, "ann", photo(TINY, blur=30), validate_only=True)


class TestAsyncClient:
    def test_it_says_targets_and_policies_alike(self, address: str) -> None:
        both = photo(ONE, TWO)

        async def pictures() -> AsyncIterator[tuple[str, bytes | Image]]:
            yield "target", picture(both, shares(TWO))
            yield "any", both

        async def ask() -> dict[str, EmbedStreamResponse]:
            async with AsyncClient(address) as client:
                answers = client.embed_stream(pictures(), MULTI_FACE_POLICY_LARGEST)
                return {each.tag: each async for each in answers}

        found = asyncio.run(ask())
        assert is_at(found["target"].ok.box, TWO)
        assert is_at(found["any"].ok.box, ONE)


def test_the_command_tells_of_every_face(address: str, gallery: str, tmp_path: Path) -> None:
    path = tmp_path / "group.png"
    path.write_bytes(photo(ONE, TWO, TINY))
    found = run("mien", "identify", path, "--gallery", gallery, "--threshold", "0.95",
                "--server", address)  # fmt: skip
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert [line for line in lines if line.startswith("identified")] == [
        "identified, the face at 31% × 50%",
        "identified, the face at 73% × 50%",
    ]
    assert lines[-1].startswith("not searched for, the face at 94% × 8%: the face is 16 pixels")


def test_the_model_says_how_pictures_become_crops(client: Client) -> None:
    assert client.model().alignment == "arcface-5"


def test_detecting_is_a_stage_of_its_own(client: Client) -> None:
    heard: list[str] = []

    def listener(stage: str, seconds: float) -> None:
        heard.append(stage)

    stages.listen(listener)
    try:
        client.embed([photo(ONE)])
    finally:
        stages.ignore(listener)
    assert heard[:3] == ["decode", "detect", "align"]


class TestDetectorFile:
    @pytest.mark.usefixtures("unpacked")
    def test_without_one_the_server_does_not_start_and_says_what_to_do(
        self, aligned: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "none"))
        with pytest.raises(errors.DetectorMissing, match=r"mien models fetch yunet.*--detector-m"):
            Server(Settings(aligned.folder, tmp_path / "data", port=0))
        named = Settings(
            aligned.folder, tmp_path / "data", port=0, detector_model=tmp_path / "gone.onnx"
        )
        with pytest.raises(errors.DetectorMissing, match=r"gone.onnx.*mien models fetch yunet"):
            Server(named)

    def test_a_bundle_whose_pictures_are_crops_needs_none(
        self, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "none"))
        Server(Settings(bundle.folder, tmp_path / "data", port=0)).stop()

    def test_the_one_that_is_named_is_used(self, aligned: Bundle, tmp_path: Path) -> None:
        settings = Settings(aligned.folder, tmp_path / "data", port=0, detector_model=YUNET_FILE)
        with Server(settings) as serving:
            assert serving.pipeline.detector.name == YuNet(YUNET_FILE).name


@needs_photos
def test_real_photographs_from_many_callers_give_what_one_caller_gets(
    aligned: Bundle, tmp_path: Path
) -> None:
    contents = [path.read_bytes() for path in some("photos", 40)]
    alone = Pipeline(aligned, detector=YuNet(YUNET_FILE), multi_face="largest")
    settings = Settings(aligned.folder, tmp_path / "data", port=0, detector_model=YUNET_FILE)
    with (
        Server(settings) as serving,
        Client(f"127.0.0.1:{serving.port}") as client,
        ThreadPoolExecutor(8) as callers,
    ):
        answers = callers.map(
            lambda content: client.embed([content], multi_face=MULTI_FACE_POLICY_LARGEST),
            contents * 2,
        )
        items = [answer.items[0] for answer in answers]
    for item, outcome in zip(items, alone.faces_each(contents) * 2, strict=True):
        if isinstance(outcome, errors.InvalidArgument):
            assert reasons(item.rejected.reasons)[0] == outcome.reason
            continue
        (expected,) = outcome.embedded
        np.testing.assert_allclose(vector(item.ok), expected.vector, atol=1e-5)
        assert item.ok.box.left * outcome.size[0] == pytest.approx(expected.face.box.x, abs=0.01)
