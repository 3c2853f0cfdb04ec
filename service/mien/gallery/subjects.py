"""The part of `Galleries` that is about subjects."""

from collections.abc import Iterable, Mapping, Sequence

from mien.errors import SubjectNotFound
from mien.gallery.about import (
    check_change,
    check_labels,
    check_limit,
    check_merge,
    check_sample_ids,
)
from mien.gallery.directory import Directory
from mien.gallery.ids import check_id
from mien.gallery.records import Changed, Deletion, Subject, SubjectChange, SubjectExport
from mien.gallery.store.tables.ledger import Asked
from mien.matching.metrics import Vectors


class Subjects(Directory):
    """Reading, changing and forgetting subjects.

    With a `request_id` (at most 128 characters, any that the caller chose) a change is made once:
    repeated within 24 hours it has its first answer again. Raises RequestIdReused if the id was
    used for something else, or for what is deleted since.
    """

    def get_subject(self, gallery_id: str, subject_id: str) -> Subject:
        """Raises SubjectNotFound."""
        check_id("gallery", gallery_id)
        check_id("subject", subject_id)
        return self._store.subject(gallery_id, subject_id)

    def subjects(
        self,
        gallery_id: str,
        after: str = "",
        limit: int = 100,
        labels: Mapping[str, str] | None = None,
    ) -> list[Subject]:
        """At most `limit` subjects with ids above `after` that bear all the labels, by id."""
        check_id("gallery", gallery_id)
        check_limit(limit)
        check_labels(labels or {})
        return self._store.subjects(gallery_id, after, limit, labels or {})

    def labels(self, gallery_id: str, subject_ids: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """What subjects are labelled with, of those that are there."""
        check_id("gallery", gallery_id)
        return self._store.labels(gallery_id, subject_ids)

    def looks(self, gallery_id: str, subject_id: str) -> tuple[tuple[str, ...], Vectors]:
        """A subject's sample ids, and their vectors float32 [n, D]. Raises SubjectNotFound."""
        check_id("gallery", gallery_id)
        check_id("subject", subject_id)
        held = self._store.export(gallery_id, subject_id)
        return tuple(sample.sample_id for sample in held.subject.samples), held.vectors

    def update_subject(
        self, gallery_id: str, subject_id: str, change: SubjectChange, request_id: str = ""
    ) -> Changed:
        """Raises SubjectNotFound, InvalidRequest and RequestIdReused."""
        check_id("gallery", gallery_id)
        check_id("subject", subject_id)
        check_change(change)
        asked = Asked.of(request_id, "update_subject", gallery_id, subject_id, change)
        with self._change:
            changed = self._store.change_subject(gallery_id, subject_id, change, asked)
            self._follow(gallery_id)
            return changed

    def merge_subjects(
        self, gallery_id: str, into: str, others: Sequence[str], request_id: str = ""
    ) -> Changed:
        """Make one subject of several; their samples keep their ids, and those with the same
        content become one.

        Raises SubjectNotFound, InvalidRequest, RequestIdReused, and DataDirectoryLocked as
        `delete_subject`.
        """
        check_id("gallery", gallery_id)
        check_merge(into, others)
        asked = Asked.of(request_id, "merge_subjects", gallery_id, into, list(others))
        with self._change:
            self._flush_matches()
            gallery = self._gallery(gallery_id)
            changed, merger = self._store.merge(gallery_id, into, others, asked)
            if merger:
                self._matches.forget(gallery_id, others)
                with self._following(gallery):
                    gallery.move(merger.moved, merger.subject, changed.revision)
                    if merger.gone:
                        gallery.forget(merger.gone, changed.revision)
            self._store.purge()
            return changed

    def delete_samples(
        self, gallery_id: str, sample_ids: Sequence[str], request_id: str = ""
    ) -> Deletion:
        """Forget samples; a subject goes with its last. Says which ids were not there.

        Raises InvalidRequest, RequestIdReused, and DataDirectoryLocked as `delete_subject`.
        """
        check_id("gallery", gallery_id)
        check_sample_ids(sample_ids)
        wanted = list(dict.fromkeys(sample_ids))
        asked = Asked.of(request_id, "delete_samples", gallery_id, sorted(wanted))
        with self._change:
            gallery = self._gallery(gallery_id)
            removed = self._store.delete_samples(gallery_id, wanted, asked)
            self._drop(gallery, removed)
            self._store.purge()
            return removed.deletion

    def delete_subject(
        self, gallery_id: str, subject_id: str, request_id: str = "", allow_missing: bool = False
    ) -> Deletion:
        """Forget a subject with all its samples; the bytes are gone from every file.

        Raises SubjectNotFound unless `allow_missing`, RequestIdReused, and DataDirectoryLocked if a
        foreign process holds the old bytes: deleted all the same.
        """
        check_id("subject", subject_id)
        asked = Asked.of(request_id, "delete_subject", gallery_id, subject_id)
        with self._change:
            gallery = self._gallery(gallery_id)
            try:
                removed = self._store.delete_subject(gallery_id, subject_id, asked)
            except SubjectNotFound:
                if not allow_missing:
                    raise
                return Deletion(0, self._store.gallery(gallery_id).revision, (subject_id,))
            self._matches.forget(gallery_id, [subject_id])
            self._drop(gallery, removed)
            self._store.purge()
            return removed.deletion

    def export_subject(self, gallery_id: str, subject_id: str) -> SubjectExport:
        """Everything that is held about a person. Raises SubjectNotFound."""
        check_id("gallery", gallery_id)
        check_id("subject", subject_id)
        self._flush_matches()
        return self._store.export(gallery_id, subject_id)

    def matched(self, gallery_id: str, subject_ids: Sequence[str]) -> None:
        """Note that a decision was that these subjects are who was looked for.

        Kept in memory until the next `flush_matches`, `expire` or `close`.
        """
        self._matches.note(gallery_id, subject_ids, self._store.now())
