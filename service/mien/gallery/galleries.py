"""Every gallery of a data directory: the interface of this room."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from mien import stages
from mien.errors import Internal, InvalidRequest, ModelMismatch
from mien.gallery.about import check_labels, check_limit, check_retention
from mien.gallery.embedding import check_vectors
from mien.gallery.enrollment import Enrollment
from mien.gallery.gallery import Gallery, path_of
from mien.gallery.ids import check_id
from mien.gallery.index import index_file
from mien.gallery.index.sample_index import IndexStats
from mien.gallery.records import (
    Deletion,
    Finding,
    Found,
    GalleryInfo,
    Retention,
)
from mien.gallery.store.tables.ledger import Asked
from mien.gallery.subjects import Subjects
from mien.gallery.times import to_moment
from mien.gallery.upkeep import Upkeep
from mien.matching.fusion import Rule
from mien.matching.metrics import Vectors

Answer = TypeVar("Answer")


class Galleries(Subjects, Enrollment, Upkeep):
    """Galleries that one process keeps in a directory, for all of its threads.

    A change is durable and every later search sees it when the method returns. Changes go one at a
    time. Every gallery is in memory from the start on, so that no first search waits for its index.

    Every method that takes an id raises InvalidId, and GalleryNotFound where the gallery must
    exist. What changes something takes a `request_id`, as `Subjects` says.
    """

    def create(  # noqa: PLR0913 - what a gallery is made of
        self,
        gallery_id: str,
        model_fingerprint: str,
        dim: int,
        *,
        labels: Mapping[str, str] | None = None,
        retention: Retention | None = None,
        request_id: str = "",
    ) -> GalleryInfo:
        """An empty gallery for vectors of one model. Raises GalleryExists and InvalidRequest."""
        check_id("gallery", gallery_id)
        if dim < 1:
            raise InvalidRequest(f"a gallery's vectors cannot have {dim} values; give 1 or more")
        labels, retention = labels or {}, retention or Retention()
        check_labels(labels)
        check_retention(retention)
        what = (gallery_id, model_fingerprint, dim, dict(labels), retention)
        asked = Asked.of(request_id, "create_gallery", *what)
        now = to_moment(self._store.now())
        wanted = GalleryInfo(gallery_id, model_fingerprint, dim, 0, 0, 0, now, labels, retention)
        with self._change:
            info = self._store.create_gallery(wanted, asked)
            self._load(gallery_id)
            return info

    def update(
        self,
        gallery_id: str,
        *,
        labels: Mapping[str, str] | None = None,
        retention: Retention | None = None,
        request_id: str = "",
    ) -> GalleryInfo:
        """Replace labels or retention; None leaves them. Raises InvalidRequest."""
        check_id("gallery", gallery_id)
        check_labels(labels or {})
        check_retention(retention or Retention())
        told = None if labels is None else dict(labels)
        asked = Asked.of(request_id, "update_gallery", gallery_id, told, retention)
        with self._change:
            info = self._store.update_gallery(gallery_id, labels, retention, asked)
            self._follow(gallery_id)
            return info

    def get(self, gallery_id: str) -> GalleryInfo:
        """The gallery with its counts."""
        check_id("gallery", gallery_id)
        return self._store.gallery(gallery_id)

    def page(self, after: str = "", limit: int = 100) -> list[GalleryInfo]:
        """At most `limit` galleries with ids above `after`, in order of id."""
        check_limit(limit)
        return self._store.galleries(after, limit)

    def delete(self, gallery_id: str, request_id: str = "") -> Deletion:
        """Forget a gallery with everybody in it; the bytes are gone from every file.

        Raises DataDirectoryLocked if a foreign process holds the old bytes: deleted all the same.
        """
        check_id("gallery", gallery_id)
        asked = Asked.of(request_id, "delete_gallery", gallery_id)
        with self._change:
            removed = self._store.delete_gallery(gallery_id, asked)
            if removed.done:
                self._opened.pop(gallery_id, None)
                index_file.remove(path_of(gallery_id, self._data))
                self._matches.forget(gallery_id)
            self._store.purge()
            return removed.deletion

    def vectors(self, gallery_id: str, subject_id: str, model_fingerprint: str) -> Vectors:
        """A subject's vectors, oldest first: float32 [n, D], n > 0.

        Raises ModelMismatch and SubjectNotFound.
        """
        check_id("subject", subject_id)
        self._gallery(gallery_id).check_model(model_fingerprint)
        model, vectors = self._store.vectors(gallery_id, subject_id)
        if model != model_fingerprint:
            raise ModelMismatch(
                f"gallery {gallery_id!r} was created anew for another model meanwhile; ask again"
            )
        return vectors

    @stages.timed("search")
    def search(  # noqa: PLR0913 - what a request to identify has
        self,
        gallery_id: str,
        probe: Vectors,
        model_fingerprint: str,
        limit: int,
        fusion: Rule = "max",
        *,
        exact: bool = False,
        labels: Mapping[str, str] | None = None,
    ) -> Found:
        """The `limit` subjects most similar to the probe, or all if there are fewer.

        `probe` is float32 [D], or [n, D] for n looks of one person, of unit norm. A subject is as
        similar as its most similar sample is to any of them; by "mean", as all of its samples are
        on average, which is the similarity to their mean vector, not normalised again.

        A large gallery is searched by an inverted file, which misses the most similar one at a
        measured rate (`index_stats`), unless `exact` is asked for. With `labels`, every subject is
        looked at that bears all of them, and no other.

        Raises ModelMismatch, InvalidEmbedding and InvalidRequest (limit below 1).
        """
        check_limit(limit)
        check_labels(labels or {})

        def find(gallery: Gallery, probes: Vectors) -> Found | None:
            among = self._store.bearing(gallery_id, labels) if labels else None
            return gallery.search(probes, limit, fusion, exact=exact, among=among)

        return self._surely(gallery_id, probe, model_fingerprint, find)

    @stages.timed("search")
    def search_each(
        self,
        gallery_id: str,
        probes: Vectors,
        model_fingerprint: str,
        limit: int,
        fusion: Rule = "max",
    ) -> list[Found]:
        """As `search`, for float32 [P, D], P > 0, of as many people, all as of one revision.

        Much faster than one by one. Raises as `search`, of any of them.
        """
        check_limit(limit)
        return self._surely(
            gallery_id,
            probes,
            model_fingerprint,
            lambda gallery, each: gallery.search_each(each, limit, fusion),
        )

    def _surely(
        self,
        gallery_id: str,
        probes: Vectors,
        model_fingerprint: str,
        find: Callable[[Gallery, Vectors], Answer | None],
    ) -> Answer:
        """What is found, at the second try if somebody is changed between index and store."""

        def attempt() -> Answer | None:
            gallery = self._gallery(gallery_id)
            gallery.check_model(model_fingerprint)
            looks = np.ascontiguousarray(np.atleast_2d(probes))
            check_vectors(looks, gallery.dim)
            return find(gallery, looks)

        if (found := attempt()) is not None:
            return found
        with self._change:  # look again when the change is done
            if (found := attempt()) is not None:
                return found
        raise Internal(f"the index of gallery {gallery_id!r} disagrees with the store")

    def index_stats(self, gallery_id: str) -> IndexStats:
        """How the gallery is searched, and with what recall."""
        return self._gallery(gallery_id).index.stats()

    def save_index(self, gallery_id: str) -> None:
        """Save the index as it is now, so that a start need not build it.

        That is done without being asked on closing, and when an index was built. Searches go on
        meanwhile, changes wait. Raises StorageFull and SettingsInvalid.
        """
        with self._change:
            self._gallery(gallery_id).save()

    def check_index(self, gallery_id: str) -> list[Finding]:
        """How what is derived of a gallery differs from the store; changes wait meanwhile.

        Raises StoreInvalid if the store itself is damaged.
        """
        with self._change:
            return self._gallery(gallery_id).check()

    def rebuild_index(self, gallery_id: str) -> None:
        """Make what is derived of a gallery anew from the store.

        Changes wait meanwhile. Searches go on, by the old index: both are in memory for a while.
        """
        with self._change:
            self._gallery(gallery_id).discard_file()
            info = self._store.gallery(gallery_id)
            self._opened[gallery_id] = Gallery(info, self._store, self._data, self._scan)
