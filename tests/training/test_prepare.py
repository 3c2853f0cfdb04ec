"""Whole photographs to a folder of crops, by code-made pictures and, beside us, by real ones."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.dataset import read, scan
from mien.errors import DatasetInvalid, OutputExists
from mien.vision.cropper import Cropper
from mien.vision.detector_file import YUNET
from mien.vision.faces import Detector, Face, WholePicture
from mien_training.prepare import LEDGER, Order, Prepared, prepare
from tests.vision.portraits import Told, face, file, photograph, profile
from tests.vision.shared import environment, needs_photos, some

ONE = face(200, 240, 2)


class ByColour:
    """Finds as many faces as the first pixel says: photographs of these tests say it there."""

    name = "by-colour"

    def detect(self, picture: np.ndarray) -> list[Face]:
        faces = [ONE, face(470, 240, 1.5), profile(200, 240)]
        return {0: [], 1: faces[:1], 2: faces[:2], 3: faces[2:]}[int(picture[0, 0, 0])]


def portrait(person: int, faces: int = 1) -> bytes:
    pixels = photograph(ONE, person=person)
    pixels[0, 0] = faces
    return file(pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ann: two portraits. bob: one, two faces in one, a profile, a rubbish file. eve: no face."""
    pictures = {
        "ann/0.png": portrait(1),
        "ann/1.png": portrait(2),
        "bob/0.png": portrait(3),
        "bob/1.png": portrait(3, faces=2),
        "bob/2.png": portrait(3, faces=3),
        "bob/3.jpg": b"rubbish",
        "eve/0.png": portrait(5, faces=0),
    }
    for name, content in pictures.items():
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "photographs"


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / LEDGER).read_text().splitlines()[1:]]


def files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != LEDGER
    }


def test_crops_lie_where_the_photographs_lay_and_each_failure_has_its_reason(
    folder: Path, tmp_path: Path
) -> None:
    done = prepare(folder, tmp_path / "out", ByColour())
    assert done == Prepared(
        outcomes={
            "CROPPED": 3,
            "MULTIPLE_FACES": 1,
            "EXTREME_POSE": 1,
            "IMAGE_UNDECODABLE": 1,
            "NO_FACE": 1,
        },
        known=0,
        people=3,
        without_crop=("eve",),
        orphans=0,
    )
    assert (done.pictures, done.cropped) == (7, 3)
    people = scan(tmp_path / "out")
    assert [(p.name, [path.name for path in p.pictures]) for p in people] == [
        ("ann", ["0.png", "1.png"]),
        ("bob", ["0.png"]),
    ]
    outcomes = {line["picture"]: line["outcome"] for line in lines(tmp_path / "out")}
    assert outcomes["bob/3.jpg"] == "IMAGE_UNDECODABLE"
    assert len(outcomes) == 7


def test_a_crop_is_what_the_service_would_cut_pixel_for_pixel(folder: Path, tmp_path: Path) -> None:
    prepare(folder, tmp_path / "out", ByColour(), Order((64, 48)))
    cropper = Cropper(64, 48, "arcface-5", ByColour())
    (served,) = cropper.cut((folder / "ann" / "1.png").read_bytes(), "reject").taken
    np.testing.assert_array_equal(read(tmp_path / "out" / "ann" / "1.png"), served.crop)


def test_the_largest_face_is_taken_where_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    done = prepare(folder, tmp_path / "out", ByColour(), Order(multi_face="largest"))
    assert done.cropped == 4
    assert "MULTIPLE_FACES" not in done.outcomes


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_number_of_jobs_changes_nothing(folder: Path, tmp_path: Path, jobs: int) -> None:
    prepare(folder, tmp_path / "one", ByColour(), Order(jobs=2))
    prepare(folder, tmp_path / "other", ByColour(), Order(jobs=jobs))
    assert files(tmp_path / "one") == files(tmp_path / "other")
    assert lines(tmp_path / "one") == lines(tmp_path / "other")


def test_pictures_that_differ_in_their_suffix_alone_keep_a_crop_each(tmp_path: Path) -> None:
    home = tmp_path / "in" / "ann"
    home.mkdir(parents=True)
    for name in ("a.png", "A.bmp", "b.png"):
        (home / name).write_bytes(portrait(len(name)))
    prepare(tmp_path / "in", tmp_path / "out", ByColour())
    assert set(files(tmp_path / "out")) == {"ann/a.png.png", "ann/A.bmp.png", "ann/b.png"}


class TestAgain:
    def test_nothing_is_done_twice(self, folder: Path, tmp_path: Path) -> None:
        prepare(folder, tmp_path / "out", ByColour())
        before = (tmp_path / "out" / LEDGER).read_bytes()

        class Never(ByColour):
            def detect(self, picture: np.ndarray) -> list[Face]:
                raise AssertionError("a finished picture was looked at again")

        again = prepare(folder, tmp_path / "out", Never())
        assert again.known == again.pictures == 7
        assert (tmp_path / "out" / LEDGER).read_bytes() == before

    def test_what_was_changed_added_or_lost_is_done(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        prepare(folder, out, ByColour())
        (folder / "ann" / "0.png").write_bytes(portrait(1, faces=0))
        (folder / "eve" / "1.png").write_bytes(portrait(6))
        (out / "ann" / "1.png").unlink()
        (folder / "bob" / "3.jpg").unlink()
        done = prepare(folder, out, ByColour())
        assert done.outcomes == {
            "CROPPED": 3, "NO_FACE": 2, "MULTIPLE_FACES": 1, "EXTREME_POSE": 1
        }  # fmt: skip
        assert done.orphans == 1
        assert done.known == 5
        assert set(files(out)) == {"ann/1.png", "bob/0.png", "eve/1.png"}

    @pytest.mark.parametrize("cut", [1, 40, 300])
    def test_a_ledger_that_was_cut_short_is_mended(
        self, folder: Path, tmp_path: Path, cut: int
    ) -> None:
        prepare(folder, tmp_path / "whole", ByColour())
        prepare(folder, tmp_path / "out", ByColour())
        ledger = tmp_path / "out" / LEDGER
        ledger.write_bytes(ledger.read_bytes()[:-cut])
        prepare(folder, tmp_path / "out", ByColour())
        assert ledger.read_bytes() == (tmp_path / "whole" / LEDGER).read_bytes()

    @pytest.mark.parametrize(
        ("size", "detector", "told"),
        [((64, 64), ByColour(), "height was 112"), ((112, 112), Told(()), "detector was")],
    )
    def test_another_way_is_refused(
        self,
        folder: Path,
        tmp_path: Path,
        size: tuple[int, int],
        detector: Detector,
        told: str,
    ) -> None:
        prepare(folder, tmp_path / "out", ByColour())
        with pytest.raises(OutputExists, match=told):
            prepare(folder, tmp_path / "out", detector, Order(size))

    def test_a_folder_of_something_else_is_left_alone(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(OutputExists, match="choose another folder"):
            prepare(folder, folder, ByColour())
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / LEDGER).write_text("not a ledger\n")
        with pytest.raises(OutputExists, match="is damaged"):
            prepare(folder, tmp_path / "out", ByColour())

    def test_a_folder_without_people_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetInvalid):
            prepare(tmp_path / "none", tmp_path / "out", WholePicture())
        assert not (tmp_path / "out").exists()


@needs_photos
class TestCommand:
    """The real program, with the real detector on real photographs."""

    @pytest.fixture
    def photographs(self, tmp_path: Path) -> Path:
        for path in some("photos", 20):
            home = tmp_path / "photographs" / path.parent.name
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, home / path.name)
        return tmp_path / "photographs"

    @pytest.fixture
    def start(self, photographs: Path) -> Callable[[Path], "subprocess.Popen[str]"]:
        def started(out: Path) -> "subprocess.Popen[str]":
            command = [str(Path(sys.executable).parent / "mien-train"), "prepare"]
            return subprocess.Popen(
                [*command, str(photographs), str(out)],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        return started

    def test_killed_and_run_again_it_gives_the_same_folder(
        self, start: Callable[[Path], "subprocess.Popen[str]"], tmp_path: Path
    ) -> None:
        whole = start(tmp_path / "whole")
        out, _ = whole.communicate(timeout=120)
        assert whole.returncode in (0, 1)
        assert out.startswith("cut ")
        assert "of 32 pictures" in out
        killed = 0
        for wanted in (2, 10, 20):
            process = start(tmp_path / "killed")
            ledger = tmp_path / "killed" / LEDGER
            while process.poll() is None and not (
                ledger.exists() and ledger.read_bytes().count(b"\n") > wanted
            ):
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
        assert killed >= 1
        last = start(tmp_path / "killed")
        last.communicate(timeout=120)
        assert last.returncode == whole.returncode
        assert files(tmp_path / "killed") == files(tmp_path / "whole")
        assert lines(tmp_path / "killed") == lines(tmp_path / "whole")

    def test_its_exit_status_tells_all_some_or_none(
        self, photographs: Path, tmp_path: Path
    ) -> None:
        def run(folder: Path, out: str, **environ: str) -> "subprocess.CompletedProcess[str]":
            command = [str(Path(sys.executable).parent / "mien-train"), "prepare"]
            return subprocess.run(
                [*command, str(folder), str(tmp_path / out)],
                env=environment() | environ,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )

        good = tmp_path / "good" / "one"
        good.mkdir(parents=True)
        shutil.copy(next(photographs.rglob("*.jpg")), good / "0.jpg")
        assert run(good.parent, "a").returncode == 0
        grey = io.BytesIO()
        Image.new("RGB", (200, 200), "grey").save(grey, "JPEG")
        (good / "1.jpg").write_bytes(grey.getvalue())
        some_refused = run(good.parent, "a")
        assert some_refused.returncode == 1
        assert "NO_FACE            1" in some_refused.stdout
        assert "1 were finished before" in some_refused.stdout
        (good / "0.jpg").unlink()
        none = run(good.parent, "b")
        assert none.returncode == 2
        assert "without any crop: 1 people (one)" in none.stdout
        (tmp_path / YUNET.name).write_bytes(b"cut")
        damaged = run(good.parent, "c", MIEN_MODELS=str(tmp_path))
        assert damaged.returncode == 2
        assert "mien models fetch yunet" in damaged.stderr
