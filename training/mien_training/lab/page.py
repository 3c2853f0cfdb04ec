"""report.html: one experiment, self-contained."""

import base64
from pathlib import Path

from mien.report.page import render
from mien_training.lab.record import Record

LARGEST_WHOLE = 1e15
"""Beyond this float64 does not tell neighbours apart."""


def html(record: Record, figure: bytes) -> str:
    """With the PNG in the page itself."""
    return render(
        Path(__file__).with_name("page.html"),
        title=f"mien laboratory: {record.name}",
        record=record,
        picture=f"data:image/png;base64,{base64.b64encode(figure).decode()}",
        shown=shown,
        epochs=epochs_of(record),
    )


def shown(value: float | None) -> str:
    """A number for people: whole ones whole, others with four significant digits; "" for None."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < LARGEST_WHOLE:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def epochs_of(record: Record) -> str:
    return f"{record.epochs} epochs" if record.epochs else "nothing is learned"
