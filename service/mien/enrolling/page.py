"""The report as a page: numbers, and a table with a small picture of each."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

import cv2
import numpy as np

from mien.enrolling.items import REASONS, Refusal
from mien.enrolling.ledger import Ledger, Row
from mien.enrolling.naming import shown
from mien.enrolling.reading import Content, read
from mien.enrolling.report import Totals, remarks
from mien.errors import InvalidArgument
from mien.files import replaced
from mien.report.page import render
from mien.vision.images import RGB, decode_reduced

TEMPLATE = Path(__file__).with_name("page.html")

SHOWN = 500
"""Pictures in the table at most: those refused first, then those with a warning, then others."""

SIDE = 72
"""Of a small picture, in pixels."""

_ORDER = {"refused": 0, "remove": 1, "removed": 1, "change": 2, "duplicate": 3, "passed_over": 5}


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    row: Row
    picture: str
    remarks: Sequence[Refusal]
    thumbnail: str
    """A data: address; empty where the file is no picture."""


def write(ledger: Ledger, root: Path, title: str, notes: Sequence[str], path: Path) -> None:
    """Everything in one file, which needs nothing else to be looked at."""
    totals = Totals.of(ledger)
    text = render(
        TEMPLATE,
        title=title,
        totals=totals,
        notes=notes,
        lines=[_line(row, root) for row in _foremost(ledger)],
        all=sum(totals.outcomes.values()),
        meanings=REASONS,
    )
    with replaced(path) as out:
        out.write(text.encode())


def _foremost(ledger: Ledger) -> list[Row]:
    """What is to be looked at first, in the order of the source among what is alike."""
    numbered = ((_rank(row), number, row) for number, row in enumerate(ledger.walk()))
    return [row for _, _, row in nsmallest(SHOWN, numbered, key=lambda each: each[:2])]


def _rank(row: Row) -> int:
    rank = _ORDER.get(row.outcome or "", 6)
    return min(rank, 4) if remarks(row) else rank


def _line(row: Row, root: Path) -> Line:
    return Line(row, shown(row.key), remarks(row), thumbnail(root / row.key))


def thumbnail(path: Path) -> str:
    """A picture of at most SIDE pixels that stands in the page itself, or nothing."""
    found = read(path)
    if not isinstance(found, Content):
        return ""
    try:
        picture = decode_reduced(found.content, 2 * SIDE).pixels
    except InvalidArgument:
        return ""
    done, content = cv2.imencode(".jpg", _small(picture)[:, :, ::-1])
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {picture.shape}")
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}"


def _small(picture: RGB) -> RGB:
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
