"""Whole photographs: real ones, where the development data lies beside the checkout."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from mien.enrolling.directory import Directory
from mien.enrolling.ledger import Ledger
from mien.enrolling.options import Options
from mien.errors import DetectorMissing
from mien.gallery.galleries import Galleries
from mien.vision.faces import Face
from mien.vision.images import RGB
from tests import bundles
from tests.enrolling.made import GALLERY, Enrolling, outcomes
from tests.vision.portraits import Told, face, file, photograph, profile
from tests.vision.shared import YUNET_FILE, needs_photos, some


class InTurn:
    """A detector that knows what is in one photograph after the other."""

    name = "in turn"

    def __init__(self, seen: Sequence[tuple[Face, ...]]) -> None:
        self._seen = iter(seen)

    def detect(self, picture: RGB) -> list[Face]:
        return Told(next(self._seen)).detect(picture)


def run(enrolling: Enrolling, source: Path, options: Options, detector: Path) -> dict[str, str]:
    with (
        Directory(
            enrolling.data, GALLERY, enrolling.bundle, options, detector, create=True
        ) as place,
        Ledger(enrolling.ledger) as ledger,
    ):
        place.create()
        return outcomes(enrolling.go(source, place, ledger, options))


def test_a_photograph_is_judged_and_its_quality_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolling = Enrolling(tmp_path / "enrolling", bundles.aligned(tmp_path / "bundle"))
    (tmp_path / "people" / "anna").mkdir(parents=True)
    seen = [(face(200, 200),), (profile(200, 200),), (face(150, 150), face(450, 200)), ()]
    contents = [file(photograph(*faces, person=n)) for n, faces in enumerate(seen, start=1)]
    for number, content in enumerate(contents):
        (tmp_path / "people" / "anna" / f"{number}.png").write_bytes(content)
    monkeypatch.setattr("mien.enrolling.directory._detector", lambda *_: InTurn(seen))
    assert run(enrolling, tmp_path / "people", Options(), tmp_path) == {
        "anna/0.png": "enrolled",
        "anna/1.png": "EXTREME_POSE",
        "anna/2.png": "MULTIPLE_FACES",
        "anna/3.png": "NO_FACE",
    }
    with Galleries(enrolling.data) as galleries:
        (sample,) = galleries.get_subject(GALLERY, "anna").samples
    assert sample.quality is not None
    assert sample.quality.min_side_px == pytest.approx(2 * 79, abs=1)


@pytest.mark.usefixtures("unpacked")
def test_without_a_detector_the_command_to_fetch_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    bundle = bundles.aligned(tmp_path / "bundle")
    with pytest.raises(DetectorMissing, match="mien models fetch yunet"):
        Directory(tmp_path / "data", GALLERY, bundle, Options(), create=True)
    with pytest.raises(DetectorMissing, match="is no file"):
        Directory(tmp_path / "data", GALLERY, bundle, Options(), tmp_path / "x", create=True)
    assert not (tmp_path / "data").exists()


@needs_photos
def test_real_photographs_are_enrolled(tmp_path: Path) -> None:
    enrolling = Enrolling(tmp_path / "enrolling", bundles.aligned(tmp_path / "bundle"))
    for path in some("photos", 40):
        home = tmp_path / "people" / path.parent.name
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, home)
    found = run(enrolling, tmp_path / "people", Options(multi_face="largest"), YUNET_FILE)
    assert len(found) == 16
    assert list(found.values()).count("enrolled") >= 15
