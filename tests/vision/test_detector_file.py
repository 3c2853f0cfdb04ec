"""Fetching, against a real server that answers, cuts, lies or is gone."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mien.errors import DetectorMissing, DownloadFailed
from mien.vision import detector_file
from mien.vision.detector_file import KNOWN, YUNET, YUNET_N, DetectorFile, fetch, find, folder

CONTENT = b"a network, say" * 1000
FILE = DetectorFile("some.onnx", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "ours")


class Source(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/gone":
            self.send_error(404)
            return
        body = CONTENT if self.path != "/other" else CONTENT[:-1] + b"?"
        self.send_response(200)
        length = len(body) if self.path != "/endless" else 10**12
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.path == "/endless":
            for _ in range(50):
                self.wfile.write(body)
            return
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def source() -> Iterator[str]:
    Source.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Source)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_file_is_fetched_checked_and_not_fetched_again(source: str, models: Path) -> None:
    path = fetch(FILE, f"{source}/good")
    assert path == models / "some.onnx"
    assert path.read_bytes() == CONTENT
    fetch(FILE, f"{source}/good")
    assert Source.asked == ["/good"]
    fetch(FILE, f"{source}/good", force=True)
    assert len(Source.asked) == 2
    path.write_bytes(b"damaged")
    assert fetch(FILE, f"{source}/good").read_bytes() == CONTENT
    assert [each.name for each in models.iterdir()] == ["some.onnx"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/other", "and some.onnx has 14,000 with"),
        ("/cut", "7,000"),
        ("/gone", "404"),
        ("/endless", "gave 14,001 bytes"),
    ],
)
def test_what_is_not_the_file_is_refused_and_nothing_is_left(
    source: str, models: Path, path: str, message: str
) -> None:
    with pytest.raises(DownloadFailed, match=message):
        fetch(FILE, source + path)
    assert not models.exists()


@pytest.mark.parametrize("path", ["/other", "/cut", "/gone"])
def test_what_was_there_stays_when_a_new_download_fails(
    source: str, models: Path, path: str
) -> None:
    fetch(FILE, f"{source}/good")
    with pytest.raises(DownloadFailed):
        fetch(FILE, source + path, force=True)
    assert (models / "some.onnx").read_bytes() == CONTENT
    assert len(list(models.iterdir())) == 1


def test_an_address_that_is_none_or_does_not_answer_is_told(models: Path) -> None:
    with pytest.raises(DownloadFailed, match="no http or https address"):
        fetch(FILE, "file:///etc/passwd")
    with pytest.raises(DownloadFailed, match=r"cannot be fetched .*name a mirror with --url"):
        fetch(FILE, "http://127.0.0.1:1/x")
    with pytest.raises(DownloadFailed, match="no public address"):
        fetch(FILE)
    assert not models.exists()


@pytest.mark.usefixtures("unpacked")
def test_a_missing_detector_is_told_with_the_command_that_brings_it(models: Path) -> None:
    with pytest.raises(DetectorMissing, match="mien models fetch yunet") as caught:
        find()
    assert str(models) in str(caught.value)
    assert "neither face_detection_yunet.onnx (SHA-256 25a606a1…) nor" in str(caught.value)
    assert "face_detection_yunet_2023mar.onnx (SHA-256 8f2383e4…)" in str(caught.value)
    with pytest.raises(DetectorMissing, match="is no file"):
        find(models / "other.onnx")


def test_where_nobody_chose_another_the_packed_one_is_taken(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find() == detector_file.PACKED
    damaged = models.parent / "damaged.onnx"
    damaged.write_bytes(b"cut")
    monkeypatch.setattr(detector_file, "PACKED", damaged)
    with pytest.raises(DetectorMissing, match=r"damaged\.onnx has the SHA-256"):
        find()


def test_a_file_that_was_named_is_taken_and_one_of_the_folder_is_checked(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.mkdir()
    named = models / "mine.onnx"
    named.write_bytes(b"mine")
    assert find(named) == named
    (models / YUNET.name).write_bytes(b"damaged")
    with pytest.raises(DetectorMissing, match="--force brings it again"):
        find()
    (models / YUNET_N.name).write_bytes(b"damaged, and fetch does not bring it")
    with pytest.raises(DetectorMissing, match="or take it away: then face_detection_yunet_2023"):
        find()
    monkeypatch.setattr(detector_file, "KNOWN", (FILE,))
    (models / FILE.name).write_bytes(CONTENT)
    assert find() == models / FILE.name


def test_without_a_folder_named_it_is_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MIEN_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "mien" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder() == tmp_path / "home" / ".cache" / "mien" / "models"


def test_what_is_known_is_stated_in_full() -> None:
    for each in KNOWN:
        assert len(bytes.fromhex(each.sha256)) == 32
        assert each.bytes > 100_000
    assert YUNET.url is not None
    assert YUNET.url.startswith("https://media.githubusercontent.com/media/opencv/opencv_zoo/")
    assert YUNET.url.endswith(YUNET.name)
