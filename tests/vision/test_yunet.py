"""YuNet itself: what needs no network of weights, and what does, where one lies beside us."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import DetectorMissing
from mien.vision.alignment import TEMPLATE, align, similarity
from mien.vision.detector_file import KNOWN
from mien.vision.faces import InBox, WholePicture
from mien.vision.images import decode
from mien.vision.yunet import SIDE, YuNet, detector_for
from tests.vision.shared import YUNET_FILE, needs_photos, some


def test_a_file_that_is_missing_or_no_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectorMissing, match=r"cannot be read .*mien models fetch yunet"):
        YuNet(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("I am no network")
    with pytest.raises(DetectorMissing, match="no YuNet network"):
        YuNet(tmp_path / "text.onnx")


def test_another_network_is_refused(tmp_path: Path) -> None:
    from tests.bundles import network

    (tmp_path / "other.onnx").write_bytes(network())
    with pytest.raises(DetectorMissing, match="no YuNet network"):
        YuNet(tmp_path / "other.onnx")


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(YUNET_FILE)


class TestDetector:
    def test_its_digest_is_a_known_one(self, detector: YuNet) -> None:
        assert detector.digest in {each.sha256 for each in KNOWN}
        assert detector.name == f"yunet-{detector.digest[:12]}"

    @pytest.mark.parametrize(
        "shape", [(1, 1), (10, 20_000), (20_000, 10), (31, 33), (640, 640), (700, 3)]
    )
    def test_pictures_of_any_shape_are_looked_at(
        self, detector: YuNet, shape: tuple[int, int]
    ) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        assert detector.detect(noise) == []

    def test_making_it_leaves_the_log_of_opencv_as_it_was(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        before = cv2.utils.logging.getLogLevel()
        YuNet(YUNET_FILE)
        assert cv2.utils.logging.getLogLevel() == before
        assert capfd.readouterr().err == ""


@needs_photos
class TestRealFaces:
    def test_every_sampled_photograph_has_a_face_with_ordered_landmarks(
        self, detector: YuNet
    ) -> None:
        for path in some("photos", 25):
            picture = decode(path.read_bytes())
            largest, *others = detector.detect(picture)
            assert all(largest.box.area >= other.box.area for other in others)
            assert largest.landmarks is not None
            right, left, nose, right_mouth, left_mouth = largest.landmarks
            assert nose[1] < max(right_mouth[1], left_mouth[1])
            assert max(right[1], left[1]) < max(right_mouth[1], left_mouth[1])
            assert right[0] < left[0] + 8  # the subject's right, so the picture's left

    def test_a_larger_picture_of_the_same_gives_the_same_places(self, detector: YuNet) -> None:
        for path in some("photos", 80):
            picture = decode(path.read_bytes())
            height, width = picture.shape[:2]
            if max(height, width) < SIDE:
                continue
            doubled = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
            one, two = (
                detector.detect(picture)[0],
                detector.detect(np.asarray(doubled, np.uint8))[0],
            )
            assert one.landmarks is not None
            assert two.landmarks is not None
            apart = np.linalg.norm(two.landmarks / 2 - one.landmarks, axis=1).max()
            assert apart < 0.03 * one.box.width

    def test_a_box_leads_to_the_same_face(self, detector: YuNet) -> None:
        for path in some("photos", 80):
            picture = decode(path.read_bytes())
            whole = detector.detect(picture)[0]
            (boxed,) = InBox(whole.box, detector).detect(picture)
            assert boxed.box.overlap(whole.box) > 0.6

    def test_threads_get_the_same_faces_as_one_after_the_other(self, detector: YuNet) -> None:
        pictures = [decode(path.read_bytes()) for path in some("photos", 60)]
        alone = [[face.box for face in detector.detect(picture)] for picture in pictures]
        wrong: list[int] = []

        def look(first: int) -> None:
            for turn in range(len(pictures)):
                number = (first + turn) % len(pictures)
                if [face.box for face in detector.detect(pictures[number])] != alone[number]:
                    wrong.append(number)

        threads = [threading.Thread(target=look, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_our_crops_of_photographs_look_as_the_crops_that_were_given(
        self, detector: YuNet
    ) -> None:
        """Found again in both, the mean landmarks lie in the same places, within half a pixel.

        They are not on the template: at 112 pixels the detector is off by up to five, alike in
        both. So the two folders are compared with each other.
        """
        ours = [align_largest(detector, path) for path in some("photos", 4)]
        given = [decode(path.read_bytes()) for path in some("crops", 141)]
        assert len(ours) == 160
        assert len(given) == 160
        mean_ours, mean_given = (found_again(detector, crops) for crops in (ours, given))
        assert np.abs(mean_ours - mean_given).max() < 1.0
        step = similarity(mean_given.astype(np.float32), mean_ours.astype(np.float32))
        assert np.hypot(step[0, 0], step[1, 0]) == pytest.approx(1, abs=0.02)
        assert np.degrees(np.arctan2(step[1, 0], step[0, 0])) == pytest.approx(0, abs=1)

    def test_the_mean_of_our_crops_is_the_mean_of_the_given_ones(self, detector: YuNet) -> None:
        """Two folders of other people, so the mean faces correlate highly and not fully."""
        ours = np.mean([align_largest(detector, path) for path in some("photos", 4)], axis=0)
        given = np.mean([decode(path.read_bytes()) for path in some("crops", 141)], axis=0)
        inner = np.s_[16:100, 16:96]
        assert np.corrcoef(ours[inner].ravel(), given[inner].ravel())[0, 1] > 0.95
        shifted = np.roll(ours, 8, axis=1)
        assert np.corrcoef(shifted[inner].ravel(), given[inner].ravel())[0, 1] < 0.9


def align_largest(detector: YuNet, path: Path) -> np.ndarray:
    picture = decode(path.read_bytes())
    landmarks = detector.detect(picture)[0].landmarks
    assert landmarks is not None
    return align(picture, landmarks, 112, 112)


def found_again(detector: YuNet, crops: list[np.ndarray]) -> np.ndarray:
    """float64 [5, 2]: the mean landmarks in crops, and they are about where the template is."""
    marks = [found[0].landmarks for crop in crops if (found := detector.detect(crop))]
    assert len(marks) > 0.97 * len(crops)
    mean = np.mean([mark for mark in marks if mark is not None], axis=0)
    assert np.abs(mean - TEMPLATE).max() < 6
    return np.asarray(mean)


class TestThreads:
    """OpenCV's object is not safe in threads."""

    def test_threads_take_turns_at_as_many_networks_as_were_allowed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        detector, made = YuNet(YUNET_FILE, networks=2), []
        busy, most, lock = [0], [0], threading.Lock()
        make = detector._made

        class Counted:
            """A network that notes how many are at work, and fails where one works twice."""

            def __init__(self) -> None:
                self.inner, self.turn = make(), threading.Lock()
                made.append(self)

            def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's
                self.inner.setInputSize(size)

            def detect(self, picture: np.ndarray) -> object:
                assert self.turn.acquire(blocking=False), "one network, two threads"
                with lock:
                    busy[0] += 1
                    most[0] = max(most[0], busy[0])
                found = self.inner.detect(picture)
                with lock:
                    busy[0] -= 1
                self.turn.release()
                return found

        while not detector._free.empty():
            detector._free.get()
        for _ in range(2):
            detector._free.put(None)
        monkeypatch.setattr(detector, "_made", Counted)
        noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
        with ThreadPoolExecutor(16) as callers:
            found = list(callers.map(detector.detect, [noise] * 32))
        assert found == [[]] * 32
        assert 1 <= len(made) <= 2
        assert 1 <= most[0] <= 2

    def test_one_that_could_not_be_made_is_made_for_the_next(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or the last place would be taken for ever, and everybody would wait."""
        detector = YuNet(YUNET_FILE, networks=1)
        detector._free.get()
        detector._free.put(None)

        def fail() -> None:
            raise DetectorMissing("no memory")

        black = np.zeros((64, 64, 3), np.uint8)
        with monkeypatch.context() as patched:
            patched.setattr(detector, "_made", fail)
            with pytest.raises(DetectorMissing, match="no memory"):
                detector.detect(black)
        assert detector.detect(black) == []


def test_what_an_alignment_needs(tmp_path: Path) -> None:
    assert isinstance(detector_for("none", tmp_path / "gone"), WholePicture)
    with pytest.raises(DetectorMissing, match=r"gone is no file.*mien models fetch yunet"):
        detector_for("arcface-5", tmp_path / "gone")
