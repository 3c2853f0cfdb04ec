"""A source that means harm: every file has an outcome, and the sound ones are enrolled."""

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
from PIL import Image

from mien.enrolling.naming import subject_id
from tests.enrolling.made import Enrolling, outcomes
from tests.faces import encoded
from tests.vision.test_hostile import NO_PICTURE, TOO_LARGE, archive


def animated(frames: int = 3) -> bytes:

    out = io.BytesIO()
    pictures = [Image.fromarray(np.full((48, 48, 3), 60 * n, np.uint8)) for n in range(frames)]
    pictures[0].save(out, "WEBP", save_all=True, append_images=pictures[1:])
    return out.getvalue()


def sized(width: int, height: int) -> bytes:

    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 99, np.uint8)).save(out, "PNG")
    return out.getvalue()


def hostile(folder: Path) -> dict[str, str]:
    """Writes the set; what should become of each."""
    home = folder / "mallory"
    home.mkdir(parents=True)
    expected = {}
    bombs, none = TOO_LARGE.values(), NO_PICTURE.values()
    files = {
        **{f"bomb-{n}.jpg": (each, "IMAGE_TOO_LARGE") for n, each in enumerate(bombs)},
        **{f"none-{n}.png": (each, "IMAGE_UNDECODABLE") for n, each in enumerate(none) if each},
        "zero.jpg": (b"", "IMAGE_UNDECODABLE"),
        "nested.jpg": (archive(archive(b"x" * 10**6, 5), 3), "IMAGE_UNDECODABLE"),
        "wrong.bmp": (encoded(1, 1, ".jpg"), "enrolled"),
        "wrong.jpg": (encoded(1, 2, ".png"), "enrolled"),
        "animated.webp": (animated(), "enrolled"),
        "1x1.png": (sized(1, 1), "enrolled"),
        "20000x10.png": (sized(20_000, 10), "enrolled"),
        "10x20001.png": (sized(10, 20_001), "IMAGE_TOO_LARGE"),
        "program.exe": (b"MZ", "NOT_A_PICTURE_NAME"),
        "picture.jpg.zip": (archive(encoded(1, 1), 2), "NOT_A_PICTURE_NAME"),
    }  # fmt: skip
    for name, (content, outcome) in files.items():
        (home / name).write_bytes(content)
        expected[f"mallory/{name}"] = outcome
    (home / "folder.jpg").mkdir()
    os.mkfifo(home / "pipe.jpg")
    (home / "nowhere.jpg").symlink_to("nowhere")
    (home / "loop").symlink_to(".")
    with (home / "sparse.jpg").open("wb") as file:
        file.truncate(2**40)
    expected |= {
        "mallory/folder.jpg": "NOT_A_FILE",
        "mallory/pipe.jpg": "NOT_A_FILE",
        "mallory/nowhere.jpg": "FILE_VANISHED",
        "mallory/loop": "LINK_LOOP",
        "mallory/sparse.jpg": "IMAGE_TOO_LARGE",
    }
    return expected


def test_a_hostile_folder(enrolling: Enrolling, tmp_path: Path) -> None:
    expected = hostile(tmp_path / "people")
    tracemalloc.start()
    found = outcomes(enrolling.run(tmp_path / "people"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Files of the set that have the same bytes are copies, the first in order is not.
    copies = {key for key, outcome in found.items() if outcome == "DUPLICATE_PICTURE"}
    assert len(copies) <= 2
    assert {key: what for key, what in found.items() if key not in copies} == {
        key: what for key, what in expected.items() if key not in copies
    }
    assert peak < 200 * 2**20
    again = outcomes(enrolling.run(tmp_path / "people"))
    assert {key: {"known": "enrolled"}.get(what, what) for key, what in again.items()} == found


def test_names_that_mean_harm(enrolling: Enrolling, tmp_path: Path) -> None:
    names = ["李小龍", "a b", "..hidden"[2:], "-rf", "<script>", "x" * 200, "new\nline", "'; DROP"]
    raw = os.fsdecode(b"m\xfcller")
    for number, name in enumerate([*names, raw]):
        (tmp_path / "people" / name).mkdir(parents=True)
        (tmp_path / "people" / name / "1.png").write_bytes(encoded(number, 0))
    rows = enrolling.run(tmp_path / "people")
    assert {row.outcome for row in rows} == {"enrolled"}
    held = enrolling.held()
    assert set(held) == {subject_id(name) for name in [*names, raw]}
    assert held[subject_id("李小龍")][0] == "李小龍"  # type: ignore[index]
    assert held[subject_id(raw)][0] == "m?ller"  # type: ignore[index]
