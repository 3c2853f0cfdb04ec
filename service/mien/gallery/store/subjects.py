"""The part of the store that is about subjects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from sqlite3 import Connection

from mien.gallery.records import Changed, Deletion, Subject, SubjectChange, SubjectExport
from mien.gallery.store import forgetting, merging
from mien.gallery.store.forgetting import Removed
from mien.gallery.store.merging import Merger
from mien.gallery.store.tables import galleries, ledger, samples, subjects
from mien.gallery.store.tables.ledger import Asked
from mien.gallery.store.transactions import Transactions
from mien.gallery.times import microseconds_or_none
from mien.matching.metrics import Vectors


class SubjectStore(Transactions):
    """Reading, changing and forgetting subjects."""

    def subject(self, gallery_id: str, subject_id: str) -> Subject:
        """Raises GalleryNotFound and SubjectNotFound."""
        with self.reading() as connection:
            gallery = galleries.key_of(connection, gallery_id)
            key = subjects.key_of(connection, gallery, subject_id)
            return subjects.read(connection, [key])[0]

    def subjects(
        self, gallery_id: str, after: str, limit: int, labels: Mapping[str, str]
    ) -> list[Subject]:
        """At most `limit` that bear all the labels, ids above `after`. Raises GalleryNotFound."""
        with self.reading() as connection:
            gallery = galleries.key_of(connection, gallery_id)
            keys = subjects.page(connection, gallery, after, limit, labels)
            return subjects.read(connection, keys)

    def vectors(self, gallery_id: str, subject_id: str) -> tuple[str, Vectors]:
        """The gallery's model, and a subject's vectors, oldest first: float32 [n, D], n > 0.

        Raises GalleryNotFound and SubjectNotFound.
        """
        with self.reading() as connection:
            gallery = galleries.key_of(connection, gallery_id)
            key = subjects.key_of(connection, gallery, subject_id)
            return galleries.model_of(connection, gallery), samples.vectors_of(connection, key)

    def labels(self, gallery_id: str, subject_ids: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """Labels by subject, of those that are there. Raises GalleryNotFound."""
        with self.reading() as connection:
            gallery = galleries.key_of(connection, gallery_id)
            keys = subjects.keys_of(connection, gallery, subject_ids)
            described = subjects.describe(connection, keys.values())
            return {each.subject_id: each.labels for each in described.values()}

    def export(self, gallery_id: str, subject_id: str) -> SubjectExport:
        """Everything held of a subject. Raises GalleryNotFound and SubjectNotFound."""
        with self.reading() as connection:
            gallery = galleries.key_of(connection, gallery_id)
            key = subjects.key_of(connection, gallery, subject_id)
            return SubjectExport(
                gallery_id,
                galleries.model_of(connection, gallery),
                subjects.read(connection, [key])[0],
                samples.vectors_of(connection, key),
                ledger.requests_about(connection, key),
            )

    def change_subject(
        self,
        gallery_id: str,
        subject_id: str,
        change: SubjectChange,
        asked: Asked | None = None,
    ) -> Changed:
        """Raises GalleryNotFound and SubjectNotFound."""
        with self.changing() as (connection, now):
            if known := ledger.recall(connection, asked, Changed, now):
                return known
            gallery = galleries.key_of(connection, gallery_id)
            subject = subjects.key_of(connection, gallery, subject_id)
            old = subjects.describe(connection, [subject])[subject]
            subjects.update(connection, gallery, {subject: _changed(old, change)})
            return self._remember_change(connection, asked, gallery, subject, now)

    def merge(
        self, gallery_id: str, into: str, others: Sequence[str], asked: Asked | None = None
    ) -> tuple[Changed, Merger | None]:
        """One subject of several; no merger if it was one already. Raises as `change_subject`."""
        with self.changing() as (connection, now):
            if known := ledger.recall(connection, asked, Changed, now):
                return known, None
            gallery = galleries.key_of(connection, gallery_id)
            keys = [subjects.key_of(connection, gallery, each) for each in (into, *others)]
            merger = merging.merge(connection, gallery, keys[0], keys[1:])
            return self._remember_change(connection, asked, gallery, keys[0], now), merger

    def delete_subject(
        self, gallery_id: str, subject_id: str, asked: Asked | None = None
    ) -> Removed:
        """Raises GalleryNotFound and SubjectNotFound. The bytes are gone after `purge`."""
        with self.changing() as (connection, now):
            if known := ledger.recall(connection, asked, Deletion, now):
                return Removed([], known, done=False)
            gallery = galleries.key_of(connection, gallery_id)
            subject = subjects.key_of(connection, gallery, subject_id)
            removed = forgetting.remove_subjects(connection, gallery, [subject], now)
            self._remember_removal(connection, asked, gallery, removed, now)
            return removed

    def delete_samples(
        self, gallery_id: str, sample_ids: Sequence[str], asked: Asked | None = None
    ) -> Removed:
        """Those that are there; a subject goes with its last. Raises GalleryNotFound."""
        with self.changing() as (connection, now):
            if known := ledger.recall(connection, asked, Deletion, now):
                return Removed([], known, done=False)
            gallery = galleries.key_of(connection, gallery_id)
            found = samples.keys_of(connection, gallery, sample_ids)
            keys = sorted(found.values())
            forgetting.remove_samples(connection, keys)
            revision = galleries.revision_of(connection, gallery)
            if keys:
                revision = galleries.grow(connection, gallery, now)
            missing = tuple(each for each in sample_ids if each not in found)
            removed = Removed(keys, Deletion(len(keys), revision, missing))
            self._remember_removal(connection, asked, gallery, removed, now)
            return removed

    def match(self, times: Mapping[tuple[str, str], int]) -> None:
        """Note when (gallery_id, subject_id) were matched last, of those that are here."""
        with self.changing() as (connection, _):
            subjects.match(connection, times)

    def _remember_change(
        self, connection: Connection, asked: Asked | None, gallery: int, subject: int, now: int
    ) -> Changed:
        revision = galleries.grow(connection, gallery, now)
        changed = Changed(subjects.read(connection, [subject])[0], revision)
        ledger.record(connection, [(asked, ledger.Topic(gallery, subject), changed)], now)
        return changed


def _changed(old: subjects.Description, change: SubjectChange) -> subjects.Description:
    expires = old.expires if change.expires is None else microseconds_or_none(change.expires)
    return replace(
        old,
        display_name=old.display_name if change.display_name is None else change.display_name,
        consent_ref=old.consent_ref if change.consent_ref is None else change.consent_ref,
        labels=old.labels if change.labels is None else change.labels,
        expires=None if change.keep_for_ever else expires,
    )
