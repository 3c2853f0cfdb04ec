"""A search of every file for what should be nowhere."""

from pathlib import Path

import numpy as np
import pytest

from mien.errors import InvalidRequest
from mien.gallery import prove
from mien.gallery.galleries import Galleries
from mien.gallery.prove import Trace, prove_absent
from tests.gallery.looks import enroll, looks, sha256

LOOK = looks(1, dim=64)[0]


def found(data: Path, **what: object) -> set[tuple[str, str]]:
    traces = prove_absent(data, **what)  # type: ignore[arg-type]
    return {(trace.file, trace.what) for trace in traces}


def test_each_form_is_found_in_any_file_at_its_byte(tmp_path: Path) -> None:
    digits = sha256(LOOK)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "raw").write_bytes(b"x" * 7 + bytes.fromhex(digits) + b"y")
    (tmp_path / "digits").write_text(f"sha256 {digits}")
    (tmp_path / "capitals").write_text(digits.upper())
    (tmp_path / "text").write_text("is here: \N{LATIN SMALL LETTER E WITH ACUTE}mile")
    (tmp_path / "nothing").write_bytes(b"")
    (tmp_path / "other").write_bytes(looks(50).tobytes())
    assert prove_absent(tmp_path, content_sha256=digits) == [
        Trace("capitals", 0, "hash in capital digits"),
        Trace("digits", 7, "hash in digits"),
        Trace("a/raw", 7, "hash"),
    ]
    text = "\N{LATIN SMALL LETTER E WITH ACUTE}mile"
    assert prove_absent(tmp_path, text=text) == [Trace("text", 9, "text")]
    assert prove_absent(tmp_path, vector=LOOK) == []


def test_a_piece_of_a_vector_is_enough(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"zz" + LOOK.tobytes()[64:96] + b"zz")
    assert prove_absent(tmp_path, vector=LOOK) == [Trace("part", 2, "vector from value 16")]


@pytest.mark.parametrize("at", range(90, 140))
def test_what_lies_across_two_chunks_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(prove, "CHUNK", 64)
    content = bytearray(300)
    content[at : at + 32] = bytes.fromhex(sha256(LOOK))
    (tmp_path / "file").write_bytes(content)
    assert prove_absent(tmp_path, content_sha256=sha256(LOOK)) == [Trace("file", at, "hash")]


def test_every_occurrence_is_found_across_small_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the slow way: every place looked at."""
    monkeypatch.setattr(prove, "CHUNK", 5)
    dice = np.random.default_rng(0)
    content = dice.choice(list(b"ab"), 400).astype(np.uint8).tobytes()
    (tmp_path / "file").write_bytes(content)
    for text in ("a", "ab", "aba", "abba", "babab"):
        slow = [at for at in range(len(content)) if content[at:].startswith(text.encode())]
        offsets = [trace.offset for trace in prove_absent(tmp_path, text=text)]
        assert offsets == slow[: prove.MOST]


def test_pieces_of_zeros_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(10_000))
    axis = np.eye(64, dtype=np.float32)[40]
    assert prove_absent(tmp_path, vector=axis) == []
    (tmp_path / "axis").write_bytes(axis.tobytes())
    assert found(tmp_path, vector=axis) == {("axis", "vector from value 40")}


def test_links_are_not_followed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "elsewhere").write_text("secret")
    (data / "link").symlink_to(tmp_path / "elsewhere")
    assert prove_absent(data, text="secret") == []
    assert found(tmp_path, text="secret") == {("elsewhere", "text")}


def test_a_directory_that_is_not_there_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        prove_absent(tmp_path / "missing", text="secret")


@pytest.mark.parametrize("what", [{}, {"text": ""}, {"vector": np.zeros(16, np.float32)}])
def test_nothing_to_look_for_is_refused(tmp_path: Path, what: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="nothing to look for"):
        prove_absent(tmp_path, **what)  # type: ignore[arg-type]


def test_what_is_no_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="give 64 hexadecimal digits"):
        prove_absent(tmp_path, content_sha256="abc")


def test_a_gallery_holds_who_is_enrolled_and_not_who_is_deleted(
    galleries: Galleries, data: Path
) -> None:
    first, second = looks(2)
    enroll(galleries, "ann-lee", first)
    enroll(galleries, "bob", second)
    assert found(data, vector=first)
    assert found(data, content_sha256=sha256(first))
    assert found(data, text="ann-lee")
    galleries.delete_subject("staff", "ann-lee")
    assert prove_absent(data, first, sha256(first), "ann-lee") == []
    galleries.close()
    assert found(data, vector=second)
    assert prove_absent(data, first, sha256(first), "ann-lee") == []
