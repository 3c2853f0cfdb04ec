"""Looking at everything in the store for what is wrong.

SQLite's own check finds pages and rows that contradict each other, which a flipped bit in a row's
value often does not do; the checksums of rows (`mien.gallery.store.checksum`) find that.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from mien.errors import MienError, StoreInvalid
from mien.gallery.about import check_about, check_labels, check_retention, check_sha256
from mien.gallery.embedding import UNIT_TOLERANCE
from mien.gallery.ids import check_id
from mien.gallery.records import About, Check, Finding, GalleryInfo
from mien.gallery.store.connections import connect_reader, translated
from mien.gallery.store.schema import is_older
from mien.gallery.store.tables import galleries, samples, subjects
from mien.gallery.store.tables.samples import Row
from mien.gallery.store.tables.subjects import Description
from mien.gallery.times import MICROSECOND, moment_or_none, wall

MOST = 100
"""Findings of one kind of look that are told; more would say no more."""

AT_ONCE = 10_000

CLOCK_TOLERANCE = 3_600_000_000
"""Microseconds that the machine's clock may be behind the store: an hour."""

Look = Callable[[sqlite3.Connection], Iterator[Finding]]


def check_file(path: Path) -> Check:
    """The same of a database file that is there, also one too damaged to be opened for writing.

    Raises StoreInvalid if it is of another version: an older one is to be opened once.
    """
    with translated(path), closing(connect_reader(path)) as connection:
        if is_older(connection, path):
            raise StoreInvalid(f"{path} is of an older mien; serve it once, then check it")
        return check(connection)


def check(connection: sqlite3.Connection) -> Check:
    """Count, and list what is wrong: at most MOST findings of each look."""
    findings = [finding for look in LOOKS for finding in islice(_safely(look, connection), MOST)]
    return Check(
        galleries=_count(connection, "galleries"),
        subjects=_count(connection, "subjects"),
        samples=_count(connection, "samples"),
        free_slots=_count(connection, "free_slots"),
        findings=tuple(findings),
    )


def _safely(look: Look, connection: sqlite3.Connection) -> Iterator[Finding]:
    """What a look finds, or that the file is too damaged to look."""
    try:
        yield from look(connection)
    except (sqlite3.DatabaseError, ValueError) as error:
        yield Finding("unreadable", f"while looking at {_name(look)}: {error}")


def _count(connection: sqlite3.Connection, table: str) -> int:
    try:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - ours
    except (sqlite3.DatabaseError, ValueError):
        return 0  # that it cannot be read is among the findings
    return int(row[0])


def _structure(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (message,) in connection.execute(f"PRAGMA integrity_check({MOST})"):
        if message != "ok":
            yield Finding("structure", message)


def _references(connection: sqlite3.Connection) -> Iterator[Finding]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding("reference", f"row {row} of {table} refers to no row of {parent}")
    for table in ("samples", "subject_labels"):
        strays = (
            f"SELECT count(*) FROM {table} JOIN subjects ON subjects.key = subject"  # noqa: S608
            f" WHERE {table}.gallery <> subjects.gallery"
        )
        for (count,) in connection.execute(strays):
            if count:
                message = f"{count} rows of {table} are of another gallery than their subjects"
                yield Finding("reference", message)


def _slots(connection: sqlite3.Connection) -> Iterator[Finding]:
    for what, query in (
        (
            "is free and holds something",
            "SELECT slot FROM free_slots JOIN vectors USING (slot)"
            " WHERE content_sha256 <> zeroblob(32) OR vector <> zeroblob(length)"
            " OR length(vector) <> length",
        ),
        ("is free and a sample's", "SELECT slot FROM free_slots JOIN samples USING (slot)"),
        (
            "is neither free nor a sample's",
            "SELECT slot FROM vectors WHERE slot NOT IN (SELECT slot FROM samples)"
            " AND slot NOT IN (SELECT slot FROM free_slots)",
        ),
    ):
        for (slot,) in connection.execute(query):
            yield Finding("slot", f"slot {slot} {what}")


def _galleries(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (gallery_id,) in connection.execute("SELECT gallery_id FROM galleries"):
        try:
            info = galleries.info(connection, gallery_id)
        except StoreInvalid as error:
            yield Finding("gallery", str(error))
        else:
            yield from _refused("gallery", f"gallery {gallery_id!r}", partial(_admit_gallery, info))


def _subjects(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (key,) in connection.execute("SELECT key FROM subjects"):
        try:
            (described,) = subjects.describe(connection, [key]).values()
        except StoreInvalid as error:
            yield Finding("subject", str(error))
        else:
            name = f"subject {described.subject_id!r}"
            yield from _refused("subject", name, partial(_admit_subject, described))
    empty = (
        "SELECT subject_id FROM subjects"
        " WHERE NOT EXISTS (SELECT 1 FROM samples WHERE subject = subjects.key)"
    )
    for (subject_id,) in connection.execute(empty):
        yield Finding("subject", f"subject {subject_id!r} has no sample")


def _samples(connection: sqlite3.Connection) -> Iterator[Finding]:
    rows = connection.execute(
        f"SELECT dim, {samples.ROW} FROM samples"  # noqa: S608 - ours
        " JOIN galleries ON galleries.key = gallery JOIN vectors USING (slot) ORDER BY samples.key"
    )
    while selected := rows.fetchmany(AT_ONCE):
        sized = []
        for dim, *columns in selected:
            row = Row(*columns)
            if not row.intact:
                yield Finding("sample", f"sample {row.sample_id!r}: its checksum differs")
            elif len(row.vector) != 4 * dim:
                yield Finding("vector", f"sample {row.sample_id!r}: its vector is not of {dim}")
            else:
                sized.append(row)
                name = f"sample {row.sample_id!r}"
                yield from _refused("sample", name, partial(_admit_sample, row))
        yield from _units(sized)


def _refused(what: str, name: str, admit: Callable[[], None]) -> Iterator[Finding]:
    """What would not have been let in; a checksum is no seal, and a snapshot comes from outside."""
    try:
        admit()
    except (MienError, ValueError, TypeError, ArithmeticError) as error:
        yield Finding(what, f"{name} holds what is never let in: {error}")


def _admit_gallery(info: GalleryInfo) -> None:
    check_id("gallery", info.gallery_id)
    check_labels(info.labels)
    check_retention(info.retention)


def _admit_subject(told: Description) -> None:
    check_id("subject", told.subject_id)
    check_about(About(told.display_name, told.labels, told.consent_ref))
    for moment in (told.created, told.expires, told.last_match):
        moment_or_none(moment)


def _admit_sample(row: Row) -> None:
    sample = row.sample
    check_id("sample", sample.sample_id)
    check_sha256(sample.content_sha256)
    check_about(About(source=sample.source, quality=sample.quality))


def _units(rows: list[Row]) -> Iterator[Finding]:
    """Of samples with whole vectors, those that are no unit vectors."""
    for row in rows:
        values = np.frombuffer(row.vector, "<f4").astype(np.float64)  # where no square overflows
        norm = float(np.sqrt(np.dot(values, values)))
        if not abs(norm - 1) <= UNIT_TOLERANCE:  # not of NaN either
            yield Finding("vector", f"sample {row.sample_id!r}: its vector has norm {norm:.6g}")


def _clock(connection: sqlite3.Connection) -> Iterator[Finding]:
    behind = galleries.latest(connection) - wall()
    if behind > CLOCK_TOLERANCE:
        yield Finding(
            "clock",
            f"the machine's clock is {behind * MICROSECOND} behind the store's last change; "
            "until it has caught up, what is enrolled is dated as that change, so that it is kept "
            "longer than its gallery says, never shorter",
        )


LOOKS: tuple[Look, ...] = (
    _structure,
    _references,
    _slots,
    _galleries,
    _subjects,
    _samples,
    _clock,
)


def _name(look: Look) -> str:
    return look.__name__.strip("_")
