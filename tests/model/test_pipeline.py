from pathlib import Path

import numpy as np
import pytest

from mien.errors import DetectorMissing, ImageUndecodable, InvalidArgument, MultipleFaces, NoFace
from mien.model.bundle import Bundle, load
from mien.model.embedder import Embedder
from mien.model.pipeline import Faces, Pipeline
from mien.vision.crops import crop
from mien.vision.faces import AtLandmarks, Detector, WholePicture
from mien.vision.images import decode
from tests import bundles
from tests.faces import encoded
from tests.vision.portraits import Told, face, file, photograph, profile


def test_pictures_of_one_person_are_more_alike_than_of_two(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle)
    same, other, again = (pipeline.embed(encoded(*who)) for who in ((1, 0), (2, 0), (1, 1)))
    assert same @ again > same @ other


def test_each_picture_has_its_own_outcome(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle)
    first, bad, last = pipeline.embed_each([encoded(1, 0), b"rubbish", encoded(2, 0)])
    assert isinstance(bad, ImageUndecodable)
    for outcome, person in ((first, 1), (last, 2)):
        alone = pipeline.embed(encoded(person, 0))
        assert isinstance(outcome, np.ndarray)
        assert np.abs(outcome - alone).max() < 1e-6


def test_nothing_but_rubbish_gives_nothing_but_refusals(bundle: Bundle) -> None:
    outcomes = Pipeline(bundle).embed_each([b"", b"x"])
    assert all(isinstance(outcome, ImageUndecodable) for outcome in outcomes)
    assert Pipeline(bundle).embed_each([]) == []


def test_one_picture_that_is_none_is_raised(bundle: Bundle) -> None:
    with pytest.raises(ImageUndecodable):
        Pipeline(bundle).embed(b"rubbish")


def test_without_alignment_a_vector_is_that_of_the_scaled_picture_to_the_bit(
    bundle: Bundle,
) -> None:
    """And a detector changes nothing: such a bundle has no faces to look for."""
    embedder = Embedder.of(bundle)
    for content in (encoded(1, 1), file(photograph(face(300, 200)))):
        expected = embedder.embed(crop(decode(content), 48, 48)[None])[0]
        for pipeline in (Pipeline(bundle), Pipeline(bundle, detector=Told(()))):
            np.testing.assert_array_equal(pipeline.embed(content), expected)
    (whole,) = Pipeline(bundle).faces(encoded(1, 1)).embedded
    assert (whole.quality, whole.warnings, whole.face.landmarks) == (None, (), None)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.aligned(tmp_path_factory.mktemp("aligned") / "projection")


ONE, TWO = face(200, 240, 2), face(470, 240, 1.5)


class TestAligned:
    def test_the_alignment_is_part_of_the_fingerprint(
        self, aligned: Bundle, tmp_path: Path
    ) -> None:
        plain = bundles.uncalibrated(tmp_path / "plain")
        assert plain.manifest.files["model.onnx"] == aligned.manifest.files["model.onnx"]
        assert plain.manifest.fingerprint != aligned.manifest.fingerprint
        assert load(aligned.folder).manifest.input.alignment == "arcface-5"

    @pytest.mark.usefixtures("unpacked")
    def test_a_missing_detector_is_told_before_anything_is_served(
        self, aligned: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
        with pytest.raises(DetectorMissing, match="mien models fetch yunet"):
            Pipeline(aligned)

    def test_the_same_face_elsewhere_and_turned_gives_the_same_vector(
        self, aligned: Bundle
    ) -> None:
        places = (face(200, 240, 2), face(330, 200, 1.3, 25), face(300, 240, 1.9, -40))
        vectors = [
            Pipeline(aligned, detector=Told((place,))).embed(file(photograph(place)))
            for place in places
        ]
        other = Pipeline(aligned, detector=Told((ONE,))).embed(file(photograph(ONE, person=9)))
        for vector in vectors[1:]:
            assert vectors[0] @ vector > 0.99
        assert vectors[0] @ other < 0.9

    def test_each_picture_tells_its_faces_or_what_is_wrong(self, aligned: Bundle) -> None:
        pipeline = Pipeline(aligned, detector=Told((TWO, ONE)))
        content = file(photograph(ONE, TWO))
        rejected, rubbish = pipeline.faces_each([content, b"rubbish"])
        assert isinstance(rejected, MultipleFaces)
        assert isinstance(rubbish, ImageUndecodable)
        (both, again) = pipeline.faces_each([content, content], "all")
        assert isinstance(both, Faces)
        assert isinstance(again, Faces)
        assert [each.face.box for each in both.embedded] == [ONE.box, TWO.box]
        for each, same in zip(both.embedded, again.embedded, strict=True):
            np.testing.assert_allclose(each.vector, same.vector, atol=1e-6)
            assert each.quality is not None
            assert np.linalg.norm(each.vector) == pytest.approx(1, abs=1e-5)
        largest = pipeline.faces(content, "largest").embedded
        assert [each.face.box for each in largest] == [ONE.box]

    def test_the_policy_of_whoever_names_none_is_the_pipelines(self, aligned: Bundle) -> None:
        content = file(photograph(ONE, TWO))
        strict = Pipeline(aligned, detector=Told((ONE, TWO)))
        with pytest.raises(MultipleFaces):
            strict.embed(content)
        lenient = Pipeline(aligned, detector=Told((ONE, TWO)), multi_face="largest")
        (vector,) = lenient.embed_each([content])
        assert not isinstance(vector, InvalidArgument)
        np.testing.assert_array_equal(vector, lenient.embed(content))

    def test_faces_of_no_use_are_told_beside_the_others(self, aligned: Bundle) -> None:
        side = profile(470, 240, 1.5)
        pipeline = Pipeline(aligned, detector=Told((ONE, side)))
        faces = pipeline.faces(file(photograph(ONE, side)), "all")
        assert len(faces.embedded) == 1
        assert [each.faults[0].reason for each in faces.refused] == ["EXTREME_POSE"]

    def test_no_face_is_an_outcome_of_its_picture(self, aligned: Bundle) -> None:
        pipeline = Pipeline(aligned, detector=Told(()))
        (outcome,) = pipeline.embed_each([file(photograph())])
        assert isinstance(outcome, NoFace)

    @pytest.mark.parametrize("told", [WholePicture(), None])
    def test_a_picture_may_be_said_to_be_a_crop(
        self, aligned: Bundle, told: Detector | None
    ) -> None:
        pipeline = Pipeline(aligned, detector=Told(()) if told else WholePicture())
        (found,) = pipeline.faces(encoded(1, 1), told=told).embedded
        expected = Embedder.of(aligned).embed(decode(encoded(1, 1))[None])[0]
        np.testing.assert_array_equal(found.vector, expected)

    def test_landmarks_of_a_caller_stand_for_the_detector(self, aligned: Bundle) -> None:
        content = file(photograph(ONE, TWO))
        assert TWO.landmarks is not None
        told = AtLandmarks(TWO.landmarks)
        (found,) = Pipeline(aligned, detector=Told((ONE,))).faces(content, told=told).embedded
        np.testing.assert_allclose(
            found.vector, Pipeline(aligned, detector=Told((TWO,))).embed(content), atol=1e-6
        )
