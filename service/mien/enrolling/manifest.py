"""A list of pictures as a source: CSV with a header, or one JSON object a line."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mien.enrolling.items import Entry, Item, Refusal, Said, Unusable
from mien.enrolling.naming import display_name
from mien.errors import DatasetInvalid, InvalidRequest
from mien.gallery.about import check_labels, check_text

FIELDS = ("path", "subject", "display_name", "labels", "consent_ref", "expires")
SUFFIXES = (".csv", ".jsonl")


def read(manifest: Path) -> Iterator[Item]:
    """The pictures in the order of the lines; relative paths start at the manifest's folder.

    A line that says too little, or something else, is unusable and no more. Raises DatasetInvalid:
    the manifest cannot be read, or its header names what is not in FIELDS.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = _csv(manifest, file) if manifest.suffix.lower() == ".csv" else _jsonl(file)
            for number, row in rows:
                yield _item(manifest.parent, number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetInvalid(f"{manifest} cannot be read: {error}") from None


def _csv(manifest: Path, file: Any) -> Iterator[tuple[int, Any]]:
    rows = csv.DictReader(file, strict=True)
    named = rows.fieldnames or []
    if unknown := sorted(set(named) - set(FIELDS)):
        raise DatasetInvalid(
            f"{manifest} has a column {unknown[0]!r}; known are {', '.join(FIELDS)}"
        )
    if missing := [each for each in FIELDS[:2] if each not in named]:
        raise DatasetInvalid(f"{manifest} has no column {missing[0]!r}; its first line names them")
    for row in rows:
        yield rows.line_num, {name: value for name, value in row.items() if value}


def _jsonl(file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error


def _item(folder: Path, number: int, row: Any) -> Item:
    try:
        return _entry(folder, row)
    except InvalidRequest as error:
        named = row if isinstance(row, dict) else {}
        key, subject = (str(named.get(name, "")) for name in FIELDS[:2])
        message = f"line {number}: {error}"
        return Unusable(key or f"line {number}", subject, Refusal("LINE_INVALID", message))


def _entry(folder: Path, row: Any) -> Entry:
    if not isinstance(row, dict):
        raise InvalidRequest(f"{row} is no object of {', '.join(FIELDS)}")
    if unknown := [name for name in row if name not in FIELDS]:
        raise InvalidRequest(f"{unknown[0]!r} is none of {', '.join(FIELDS)}")
    texts = {name: _text(row, name) for name in FIELDS if name not in ("labels", "expires")}
    for name in FIELDS[:2]:
        if not texts[name]:
            raise InvalidRequest(f"there is no {name}")
    subject = texts["subject"]
    said = Said(
        texts["display_name"] or display_name(subject),
        _labels(row.get("labels", {})),
        texts["consent_ref"],
        _moment(_text(row, "expires")),
    )
    return Entry(texts["path"], folder / texts["path"], subject, said)


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is {value!r}, which is no text")
    check_text(name, value)
    return value


def _labels(told: Any) -> dict[str, str]:
    """An object, or "name=value;name=value"."""
    if isinstance(told, str):
        pairs = [each.partition("=") for each in told.split(";") if each.strip()]
        if bad := [name for name, sign, _ in pairs if not sign]:
            raise InvalidRequest(f"label {bad[0]!r} has no value; write name=value;name=value")
        told = {name.strip(): value.strip() for name, _, value in pairs}
    if not isinstance(told, dict) or not all(isinstance(each, str) for each in told.values()):
        raise InvalidRequest(f"labels are {told!r}; give names with texts")
    check_labels(told)
    return dict(told)


def _moment(told: str) -> datetime | None:
    """A date is midnight at its beginning, and what has no time zone is UTC."""
    if not told:
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise InvalidRequest(f"expires is {told!r}; write it as 2030-12-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
