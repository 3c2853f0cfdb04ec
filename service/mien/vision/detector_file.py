"""The file of the face detector: where it is looked for, and where it comes from.

One comes with the package. `mien models fetch yunet` brings OpenCV's, which then goes first, and so
does a file of one's own.
"""

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mien.errors import DetectorMissing, DownloadFailed
from mien.files import replaced

FOLDER_VARIABLE = "MIEN_MODELS"
SECONDS = 60.0
"""Without a byte, after which a download is given up."""


@dataclass(frozen=True)
class DetectorFile:
    """A file that is known by its digest."""

    name: str
    sha256: str
    bytes: int
    source: str
    """Whose it is, and its licence."""
    url: str | None = None
    """None: there is no public address that we could check."""


YUNET = DetectorFile(
    name="face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    bytes=232_589,
    source="opencv/opencv_zoo, MIT",
    url=(
        "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
        "face_detection_yunet/face_detection_yunet_2023mar.onnx"
    ),
)
"""Digest and size as OpenCV's repository states them in the file's LFS pointer."""

YUNET_N = DetectorFile(
    name="face_detection_yunet.onnx",
    sha256="25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31",
    bytes=317_466,
    source="ShiqiYu/libfacedetection.train, Apache-2.0",
)
"""The larger one of the authors' own repository, which is a little newer."""

KNOWN = (YUNET_N, YUNET)
"""In the order in which a folder is searched: whoever put the first there chose it."""

PACKED = Path(__file__).with_name("detectors") / YUNET_N.name
"""What is used where nobody chose another."""


def folder() -> Path:
    """Where fetched files are kept: MIEN_MODELS, or mien/models in the user's cache."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "mien" / "models"


def find(named: Path | None = None) -> Path:
    """The detector's file: the one that was named, a known one in `folder()`, or the packed one.

    Raises DetectorMissing: there is none, or it is not what its name says.
    """
    if named is not None:
        if not named.is_file():
            raise DetectorMissing(
                f"the face detector {named} is no file; name one that is there, or none and let "
                "mien models fetch yunet bring it"
            )
        return named
    for path, known in (*((folder() / known.name, known) for known in KNOWN), (PACKED, YUNET_N)):
        if path.is_file():
            if (found := _digest(path.read_bytes())) != known.sha256:
                raise DetectorMissing(_damaged(path, found, known))
            return path
    either = " nor ".join(f"{known.name} (SHA-256 {known.sha256[:8]}…)" for known in KNOWN)
    raise DetectorMissing(
        f"there is no face detector in {folder()}, neither {either}; mien models fetch yunet "
        "brings the last one, or name a file with --detector-model, or its folder with "
        f"{FOLDER_VARIABLE}"
    )


def _damaged(path: Path, found: str, known: DetectorFile) -> str:
    mend = (
        "mien models fetch yunet --force brings it again"
        if known.url
        else f"put {known.source.partition(',')[0]}'s there, or take it away: then "
        f"{YUNET.name} is used, which mien models fetch yunet brings"
    )
    return (
        f"{path} has the SHA-256 {found[:12]}… and not {known.sha256[:12]}…: it is damaged, or "
        f"another; {mend}, or name it with --detector-model if it is meant"
    )


def fetch(file: DetectorFile, url: str | None = None, *, force: bool = False) -> Path:
    """Download a file into `folder()`, and put it in its place when its digest is right.

    What is there unchanged is not fetched again, unless `force`. `url` is a mirror.

    Raises DownloadFailed: the address does not answer, the download is cut, or it is another file.
    """
    path = folder() / file.name
    if not force and path.is_file() and _digest(path.read_bytes()) == file.sha256:
        return path
    address = url or file.url
    if address is None:
        raise DownloadFailed(f"no public address of {file.name} is known; name one with --url")
    content = _download(address, file.bytes)
    if (found := _digest(content)) != file.sha256:
        raise DownloadFailed(
            f"{address} gave {len(content):,} bytes with the SHA-256 {found[:12]}…, and "
            f"{file.name} has {file.bytes:,} with {file.sha256[:12]}…; nothing was kept"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as out:
        out.write(content)
    return path


def _download(address: str, most: int) -> bytes:
    """At most one byte more than `most`, so that a wrong address fills no memory."""
    if urlsplit(address).scheme not in ("http", "https"):
        raise DownloadFailed(f"{address} is no http or https address")
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as response:  # noqa: S310
            content: bytes = response.read(most + 1)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(
            f"{address} cannot be fetched ({error}); fetch it elsewhere, put it in {folder()}, "
            "or name a mirror with --url"
        ) from None
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
