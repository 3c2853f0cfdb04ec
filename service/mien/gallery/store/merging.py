"""Making one subject of several, in a transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mien.gallery.store import forgetting
from mien.gallery.store.tables import ledger, samples, subjects
from mien.gallery.store.tables.subjects import Description


@dataclass(frozen=True)
class Merger:
    """Who is one now, by key, and the keys of samples that are newly theirs, and that are gone."""

    subject: int
    moved: list[int]
    gone: list[int]


def merge(connection: sqlite3.Connection, gallery: int, into: int, others: Sequence[int]) -> Merger:
    """Give the samples of others to one subject.

    Of samples with the same content one stays: that of `into`, or else the oldest. What is told of
    `into` counts before what is told of the others, in their order; it was created when the first
    of them was, expires when the first of them does, and was matched when the last of them was.
    """
    described = subjects.describe(connection, [into, *others])
    merged = _merged([described[key] for key in (into, *others)])
    twice = _twice(connection, into, others)
    moved = samples.keys_of_subjects(connection, others)
    ledger.forget_descriptions(connection, others)
    ledger.move(connection, others, into)
    samples.move(connection, others, into)
    forgetting.remove_samples(connection, twice)
    subjects.delete_empty(connection, others)
    subjects.update(connection, gallery, {into: merged})
    return Merger(into, moved, twice)


def _merged(descriptions: Sequence[Description]) -> Description:
    labels: dict[str, str] = {}
    for each in reversed(descriptions):
        labels |= each.labels
    return replace(
        descriptions[0],
        display_name=next((each.display_name for each in descriptions if each.display_name), ""),
        consent_ref=next((each.consent_ref for each in descriptions if each.consent_ref), ""),
        created=min(each.created for each in descriptions),
        expires=min(_known(each.expires for each in descriptions), default=None),
        last_match=max(_known(each.last_match for each in descriptions), default=None),
        labels=labels,
    )


def _known(moments: Iterable[int | None]) -> list[int]:
    return [moment for moment in moments if moment is not None]


def _twice(connection: sqlite3.Connection, into: int, others: Sequence[int]) -> list[int]:
    """Keys of samples whose content another one that stays has too."""
    rows = list(samples.rows_of(connection, [into, *others]))
    rows.sort(key=lambda each: each[0] != into)  # stable: those of `into` first, then by age
    seen: set[bytes] = set()
    twice = []
    for _, row in rows:
        if row.content_sha256 in seen:
            twice.append(row.key)
        seen.add(row.content_sha256)
    return twice
