"""What became of each picture: one JSON object a line, and the numbers of all."""

import errno
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mien.enrolling.items import Refusal
from mien.enrolling.ledger import Ledger, Row
from mien.enrolling.naming import shown
from mien.errors import SettingsInvalid
from mien.files import replaced


@dataclass(frozen=True)
class Totals:
    """Pictures by outcome, those refused by reason, and people who have one that was read."""

    outcomes: Counter[str]
    refused: Counter[str]
    subjects: int

    @classmethod
    def of(cls, ledger: Ledger) -> "Totals":
        outcomes, refused = Counter[str](), Counter[str]()
        for (outcome, reason), count in ledger.counts().items():
            outcomes[outcome] += count
            if outcome == "refused":
                refused[reason] += count
        return cls(outcomes, refused, ledger.subjects())


def page_of(path: Path) -> Path:
    """The page beside a report."""
    return path.with_suffix(".html")


def check(path: Path) -> None:
    """Raise SettingsInvalid unless a report and its page can be written there, before the work."""
    if path == page_of(path):
        raise SettingsInvalid(f"{path} is where the page beside a report goes; name it FILE.jsonl")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for each in (path, page_of(path)):
            if each.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(each))
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SettingsInvalid(
            f"no report can be written to {path}: {error}; name another file with --report"
        ) from error


def remarks(row: Row) -> tuple[Refusal, ...]:
    """What to think about, though it was not refused."""
    return row.warnings + ((Refusal("MISFIT", row.misfit),) if row.misfit else ())


def fields(row: Row) -> dict[str, Any]:
    """One line of the report."""
    refusal = row.refusal or Refusal("", "")
    return {
        "picture": shown(row.key),
        "subject": row.subject,
        "subject_id": row.subject_id,
        "outcome": row.outcome,
        "reason": refusal.reason,
        "message": refusal.message,
        "warnings": [{"reason": each.reason, "message": each.message} for each in remarks(row)],
        "sample_id": row.sample_id,
        "sha256": row.sha256,
    }


def write(ledger: Ledger, path: Path) -> None:
    """All of this run, in the order of the source; the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as out:
        for row in ledger.walk():
            out.write(json.dumps(fields(row), ensure_ascii=False).encode() + b"\n")
