"""YuNet: a face detector of 76,000 parameters that also gives five landmarks.

Wu, Peng & Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
20(5), 2023, by OpenCV's `FaceDetectorYN`.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue

import cv2
import numpy as np

from mien.errors import DetectorMissing
from mien.vision import detector_file
from mien.vision.crops import Alignment
from mien.vision.faces import Box, Detector, Face, WholePicture, largest_first
from mien.vision.images import RGB

SIDE = 640
"""Longer side, in pixels, of what the network sees; larger pictures are reduced to it. It learned
from pictures of 640 pixels and finds faces of about 10 to 300 (its authors' note in OpenCV's model
zoo), so that a face which fills a large photograph is found only when that is reduced."""

LEAST_SIDE = 32
"""The network's largest stride; a narrower picture is padded with black up to it."""

LEAST_SCORE = 0.6
"""Below it nothing is a face. OpenCV's default is 0.9; 0.6 is that of its model zoo's own
measurement tool for images, and what is between is refused by `mien.vision.quality` with a reason
of its own, LOW_CONFIDENCE, rather than as NO_FACE."""

OVERLAP = 0.3
"""Non-maximum suppression: boxes that share more are one face. OpenCV's default."""

MOST_FACES = 5000
"""Boxes before suppression. OpenCV's default."""


def detector_for(alignment: Alignment, model: Path | None = None) -> Detector:
    """What finds the faces that an alignment needs: YuNet, from `model` or the file that is found.

    With "none" there is nothing to find, whatever is named.

    Raises DetectorMissing.
    """
    return WholePicture() if alignment == "none" else YuNet(detector_file.find(model))


class YuNet:
    """The detector, from a file.

    OpenCV's object is not safe in threads, and keeps what it computed with: about 3 MiB at 640
    pixels. So there are at most `networks` of them (0: as many as cores), and whoever finds all of
    them at work waits. They are made when they are needed.

    Raises DetectorMissing if the file cannot be read or is no such network.
    """

    def __init__(self, model: Path, networks: int = 0) -> None:
        try:
            content = model.read_bytes()
        except OSError as error:
            raise DetectorMissing(
                f"the face detector {model} cannot be read ({error.strerror}); "
                "mien models fetch yunet brings it"
            ) from None
        self.digest = hashlib.sha256(content).hexdigest()
        self._model = model
        self._content = np.frombuffer(content, np.uint8)
        self._making = threading.Lock()
        self._free = LifoQueue[cv2.FaceDetectorYN | None]()
        """The last one that was used first, and None for each that was not made yet."""
        for _ in range(networks or len(os.sched_getaffinity(0))):
            self._free.put(None)
        self.detect(np.zeros((LEAST_SIDE, LEAST_SIDE, 3), np.uint8))

    @property
    def name(self) -> str:
        return f"yunet-{self.digest[:12]}"

    def detect(self, picture: RGB) -> list[Face]:
        """Faces of a uint8 [H, W, 3] RGB picture, the largest first, each with five landmarks."""
        seen, scale = _seen(picture)
        with self._network() as network:
            network.setInputSize((seen.shape[1], seen.shape[0]))
            try:
                _, rows = network.detect(seen)
            except cv2.error as error:
                raise self._no_yunet(error) from None
        found = [] if rows is None else [_face(row) for row in rows if np.isfinite(row).all()]
        return largest_first([face.moved(1 / scale) for face in found])

    @contextmanager
    def _network(self) -> Iterator[cv2.FaceDetectorYN]:
        """One of them, for this thread alone."""
        network = self._free.get()
        try:
            if network is None:
                with self._making:  # the level of OpenCV's log is the whole process's
                    network = self._made()
            yield network
        finally:
            self._free.put(network)

    def _made(self) -> cv2.FaceDetectorYN:
        before = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(_ERRORS_ONLY)
        try:
            return cv2.FaceDetectorYN.create(
                "onnx",
                self._content,
                np.empty(0, np.uint8),
                (LEAST_SIDE, LEAST_SIDE),
                LEAST_SCORE,
                OVERLAP,
                MOST_FACES,
            )
        except cv2.error as error:
            raise self._no_yunet(error) from None
        finally:
            cv2.utils.logging.setLogLevel(before)

    def _no_yunet(self, error: cv2.error) -> DetectorMissing:
        return DetectorMissing(
            f"{self._model} is no YuNet network that this OpenCV runs ({error.func or 'unreadable'}"
            "); mien models fetch yunet brings one"
        )


_ERRORS_ONLY = 2
"""Of OpenCV's log: version 5 warns, with every detector, of targets that nobody asked for."""


def _seen(picture: RGB) -> tuple[RGB, float]:
    """What the network sees, BGR, and its pixels for one of the picture."""
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    missing = [max(0, LEAST_SIDE - side) for side in bgr.shape[:2]]
    if any(missing):
        bgr = cv2.copyMakeBorder(bgr, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT)
    return np.asarray(bgr, np.uint8), scale


def _face(row: np.ndarray) -> Face:
    """x, y, width, height, five times x and y, score: OpenCV's row of fifteen."""
    return Face(
        Box(*(float(value) for value in row[:4])),
        np.asarray(row[4:14], np.float32).reshape(5, 2),
        float(np.clip(row[14], 0, 1)),
    )
