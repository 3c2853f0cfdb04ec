"""The record of truth: one SQLite file with every gallery of a data directory."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mien.gallery import backup, contents, enrolments, expiry, integrity, removals
from mien.gallery.contents import Contents, Owners
from mien.gallery.database import translated
from mien.gallery.enrolments import Added
from mien.gallery.nearest import Ints
from mien.gallery.records import Check, Deletion, Enrolment, GalleryInfo, Retention, Stamp
from mien.gallery.removals import Removed
from mien.gallery.subject_store import SubjectStore
from mien.gallery.tables import galleries, ledger, samples
from mien.gallery.tables.ledger import Asked
from mien.gallery.transactions import LEFTOVER

__all__ = ["BATCH", "FILE_NAME", "Added", "Removed", "Store"]

FILE_NAME = "mien.sqlite3"

BATCH = 10_000
"""Samples that are read at a time; 5 MB of vectors at 128 dimensions."""


class Store(SubjectStore):
    """Every change is one transaction and durable when its method returns.

    Safe to use from many threads: changes go one at a time, reads beside them and each other. A
    change that was asked for under a request id (`Asked`) is not made again: its first answer is.

    Raises StoreInvalid: the file is no database, is damaged, or was written by a newer mien.
    """

    def create_gallery(self, wanted: GalleryInfo, asked: Asked | None = None) -> GalleryInfo:
        """Raises GalleryExists. What it counts and when it was created are not looked at."""
        with self._changing() as (connection, now):
            if known := ledger.recall(connection, asked, GalleryInfo, now):
                return known
            gallery = galleries.insert(connection, replace(wanted, revision=0), now)
            info = galleries.info(connection, wanted.gallery_id)
            ledger.record(connection, [(asked, ledger.About(gallery), info)], now)
            return info

    def gallery(self, gallery_id: str) -> GalleryInfo:
        """Raises GalleryNotFound."""
        with self.reading() as connection:
            return galleries.info(connection, gallery_id)

    def galleries(self, after: str, limit: int) -> list[GalleryInfo]:
        """At most `limit` galleries with ids above `after`, in order of id."""
        with self.reading() as connection:
            return galleries.page(connection, after, limit)

    def update_gallery(
        self,
        gallery_id: str,
        labels: Mapping[str, str] | None,
        retention: Retention | None,
        asked: Asked | None = None,
    ) -> GalleryInfo:
        """Replace what is given; the revision grows. Raises GalleryNotFound."""
        with self._changing() as (connection, now):
            if known := ledger.recall(connection, asked, GalleryInfo, now):
                return known
            gallery = galleries.key_of(connection, gallery_id)
            old = galleries.info(connection, gallery_id)
            galleries.describe(
                connection,
                gallery,
                old.labels if labels is None else labels,
                old.retention if retention is None else retention,
            )
            galleries.grow(connection, gallery, now)
            info = galleries.info(connection, gallery_id)
            ledger.record(connection, [(asked, ledger.About(gallery), info)], now)
            return info

    def delete_gallery(self, gallery_id: str, asked: Asked | None = None) -> Removed:
        """Raises GalleryNotFound. The bytes are gone after `purge`."""
        with self._changing() as (connection, now):
            if known := ledger.recall(connection, asked, Deletion, now):
                return Removed([], known, done=False)
            gallery = galleries.key_of(connection, gallery_id)
            removed = removals.remove_gallery(connection, gallery, now)
            self._remember_removal(connection, asked, gallery, removed, now)
            return removed

    def enrol(
        self,
        gallery_id: str,
        items: Sequence[Enrolment],
        *,
        partly: bool = False,
        keep: bool = True,
    ) -> Added:
        """Keep samples, as `mien.gallery.enrolments` says; or only say what would become of them.

        Raises GalleryNotFound, and RequestIdReused unless `partly`.
        """
        with self._changing(keep) as (connection, now):
            added = enrolments.enrol(connection, gallery_id, items, now)
            if not partly:
                added.raise_refusal()
            return added if keep else added.unkept()

    def due(self, gallery_id: str, now: int) -> dict[expiry.Noun, list[int]]:
        """Keys of the subjects and samples that are to be forgotten. Raises GalleryNotFound."""
        with self.reading() as connection:
            gallery = galleries.key_of(connection, gallery_id)
            limits = expiry.Limits.of(galleries.info(connection, gallery_id), now)
            nouns: tuple[expiry.Noun, ...] = ("subjects", "samples")
            return {noun: expiry.due(connection, gallery, noun, limits) for noun in nouns}

    def expire(
        self, gallery_id: str, noun: expiry.Noun, keys: Sequence[int], now: int
    ) -> tuple[Removed, int]:
        """Remove those of these that are still due; and how many subjects went.

        Raises GalleryNotFound. The bytes are gone after `purge`.
        """
        with self._changing() as (connection, at):
            gallery = galleries.key_of(connection, gallery_id)
            limits = expiry.Limits.of(galleries.info(connection, gallery_id), now)
            keys = expiry.still_due(connection, gallery, noun, limits, keys)
            if noun == "subjects":
                keys = samples.keys_of_subjects(connection, keys)
            gone = removals.remove_samples(connection, keys)
            revision = galleries.revision_of(connection, gallery)
            if keys:
                revision = galleries.grow(connection, gallery, at)
            return Removed(list(keys), Deletion(len(keys), revision)), gone

    def prune(self) -> None:
        """Remove what the ledger need not remember any more."""
        with self._changing() as (connection, now):
            ledger.prune(connection, now)

    def check(self) -> Check:
        """Look at everything, as `mien.gallery.integrity` says. Changes wait, reads do not."""
        with self.journal.lock:
            return integrity.check_file(self._path)

    def snapshot(self, gallery_id: str, target: Path) -> Stamp:
        """Write a gallery to a new file, as `mien.gallery.backup` says; changes go on meanwhile.

        Raises GalleryNotFound, OutputExists, StorageFull and SettingsInvalid (not writable).
        """
        folder = self._path.parent
        with translated(folder), tempfile.TemporaryDirectory(prefix=LEFTOVER, dir=folder) as copied:
            whole = Path(copied) / FILE_NAME
            self.journal.copy(whole)
            return backup.extract(whole, gallery_id, target, self.now())

    def restore(self, source: Path, snapshot: backup.Snapshot, gallery_id: str) -> GalleryInfo:
        """Take what `backup.read` looked at into a gallery that is new or empty, all or nothing.

        Raises ModelMismatch and GalleryExists.
        """
        with self.journal.attached(source), self._changing() as (connection, now):
            return backup.restore(connection, snapshot, gallery_id, now)

    def bearing(self, gallery_id: str, labels: Mapping[str, str]) -> Ints:
        """Keys of the samples of subjects that bear all the labels. Raises GalleryNotFound."""
        with self.reading() as connection:
            return contents.bearing(connection, galleries.key_of(connection, gallery_id), labels)

    def owners(self, gallery_id: str) -> Owners:
        """Keys of all samples of a gallery and of their subjects. Raises GalleryNotFound."""
        with self.reading() as connection:
            return contents.owners(connection, galleries.key_of(connection, gallery_id))

    def contents(self, gallery_id: str, after: int = 0) -> Iterator[Contents]:
        """Samples of a gallery with keys above `after`, in order.

        Raises GalleryNotFound and StoreInvalid.
        """
        while True:
            with self.reading() as connection:
                gallery = galleries.key_of(connection, gallery_id)
                batch = contents.contents(connection, gallery, after, BATCH)
            if len(batch.keys):
                yield batch
            if len(batch.keys) < BATCH:
                return
            after = int(batch.keys[-1])

    def names(self, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
        """(subject_id, sample_id) by key of those of these samples that there are."""
        with self.reading() as connection:
            return contents.names(connection, keys)
