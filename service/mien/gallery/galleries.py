"""Every gallery of a data directory: the interface of this room."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

import numpy as np

from mien.errors import InvalidRequest
from mien.gallery.embedding import check_vector, check_vectors
from mien.gallery.gallery import Gallery
from mien.gallery.ids import check_id
from mien.gallery.index import SampleIndex
from mien.gallery.lock import DirectoryLock
from mien.gallery.records import Deletion, Enrolled, Found, GalleryInfo, Match, Sample
from mien.gallery.store import FILE_NAME, Store
from mien.matching.fusion import Rule
from mien.matching.metrics import Vectors

__all__ = ["Deletion", "Enrolled", "Found", "Galleries", "GalleryInfo", "Match", "Sample"]

SHA256 = re.compile(r"[0-9a-f]{64}")


class Galleries:
    """Galleries that one process keeps in a directory, for all of its threads.

    A change is durable and every later search sees it when the method returns. Changes go one at a
    time. Every gallery is in memory from the start on, so that no first search waits for its index.

    Every method that takes an id raises InvalidId, and GalleryNotFound where the gallery must
    exist.
    """

    def __init__(self, data: Path) -> None:
        """Open the directory; it is made if missing.

        Raises DataDirectoryLocked (another process has it), StoreInvalid (damaged, or written by a
        newer mien) and SettingsInvalid (not writable).
        """
        self._change = threading.RLock()
        self._opened: dict[str, Gallery] = {}
        with ExitStack() as resources:
            resources.enter_context(DirectoryLock(data))
            self._store = resources.enter_context(closing(Store(data / FILE_NAME)))
            self._load_all()
            self._resources = resources.pop_all()

    def create(self, gallery_id: str, model_fingerprint: str, dim: int) -> GalleryInfo:
        """An empty gallery for vectors of one model. Raises GalleryExists."""
        check_id("gallery", gallery_id)
        if dim < 1:
            raise InvalidRequest(f"a gallery's vectors cannot have {dim} values; give 1 or more")
        with self._change:
            info = self._store.create_gallery(gallery_id, model_fingerprint, dim)
            self._opened[gallery_id] = Gallery.load(info, self._store)
            return info

    def get(self, gallery_id: str) -> GalleryInfo:
        """The gallery with its counts."""
        check_id("gallery", gallery_id)
        return self._store.gallery(gallery_id)

    def page(self, after: str = "", limit: int = 100) -> list[GalleryInfo]:
        """At most `limit` galleries with ids above `after`, in order of id."""
        _check_limit(limit)
        return self._store.galleries(after, limit)

    def delete(self, gallery_id: str) -> Deletion:
        """Forget a gallery with everybody in it; the bytes are gone from every file.

        Raises DataDirectoryLocked if a foreign process holds the old bytes: deleted all the same.
        """
        check_id("gallery", gallery_id)
        with self._change:
            removed = self._store.delete_gallery(gallery_id)
            self._opened.pop(gallery_id, None)
            self._store.purge()
            return removed.deletion

    def enroll(
        self,
        gallery_id: str,
        subject_id: str,
        vector: Vectors,
        model_fingerprint: str,
        content_sha256: str,
    ) -> Enrolled:
        """Keep float32 [D] of unit norm as a sample of a subject, new or known.

        `content_sha256` is in lower case. Content that the subject has already changes nothing, so
        a call may be repeated.

        Raises ModelMismatch, InvalidEmbedding and InvalidRequest (no SHA-256).
        """
        check_id("subject", subject_id)
        _check_sha256(content_sha256)
        with self._change:
            gallery = self._gallery(gallery_id)
            gallery.check_model(model_fingerprint)
            check_vector(vector, gallery.dim)
            added = self._store.add(gallery_id, subject_id, vector, content_sha256)
            enrolled = added.enrolled
            if not enrolled.already_existed:
                names = [(subject_id, enrolled.sample.sample_id)]
                with self._following(gallery) as index:
                    index.add([added.key], names, vector[None], enrolled.revision)
            return enrolled

    def delete_subject(self, gallery_id: str, subject_id: str) -> Deletion:
        """Forget a subject with all its samples; the bytes are gone from every file.

        Raises SubjectNotFound, and DataDirectoryLocked if a foreign process holds the old bytes:
        deleted all the same.
        """
        check_id("subject", subject_id)
        with self._change:
            gallery = self._gallery(gallery_id)
            removed = self._store.delete_subject(gallery_id, subject_id)
            with self._following(gallery) as index:
                index.remove(removed.keys, removed.deletion.revision)
            self._store.purge()
            return removed.deletion

    def vectors(self, gallery_id: str, subject_id: str, model_fingerprint: str) -> Vectors:
        """A subject's vectors, oldest first: float32 [n, D], n > 0.

        Raises ModelMismatch and SubjectNotFound.
        """
        check_id("subject", subject_id)
        with self._change:
            self._gallery(gallery_id).check_model(model_fingerprint)
            return self._store.vectors(gallery_id, subject_id)

    def search(
        self,
        gallery_id: str,
        probe: Vectors,
        model_fingerprint: str,
        limit: int,
        fusion: Rule = "max",
    ) -> Found:
        """The `limit` subjects most similar to the probe, or all if there are fewer.

        `probe` is float32 [D], or [n, D] for n looks of one person, of unit norm. A subject is as
        similar as its most similar sample is to any of them; by "mean", as all of its samples are
        on average, which is the similarity to their mean vector, not normalised again.

        Raises ModelMismatch, InvalidEmbedding and InvalidRequest (limit below 1).
        """
        _check_limit(limit)
        gallery = self._gallery(gallery_id)
        gallery.check_model(model_fingerprint)
        probes = np.atleast_2d(probe)
        check_vectors(probes, gallery.dim)
        return gallery.index.search(probes, limit, fusion)

    def close(self) -> None:
        """Wait for a change that is under way, then let the directory go."""
        with self._change:
            self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _gallery(self, gallery_id: str) -> Gallery:
        check_id("gallery", gallery_id)
        return self._opened.get(gallery_id) or self._load(gallery_id)

    def _load(self, gallery_id: str) -> Gallery:
        with self._change:
            if gallery_id not in self._opened:
                info = self._store.gallery(gallery_id)
                self._opened[gallery_id] = Gallery.load(info, self._store)
            return self._opened[gallery_id]

    def _load_all(self) -> None:
        last = ""
        while infos := self._store.galleries(last, 1000):
            for info in infos:
                self._load(info.gallery_id)
            last = infos[-1].gallery_id

    @contextmanager
    def _following(self, gallery: Gallery) -> Iterator[SampleIndex]:
        """The index, to be told what the store has done; forgotten if it cannot follow.

        It is built anew at the next use then, so that it never disagrees with the store.
        """
        try:
            yield gallery.index
        except BaseException:
            self._opened.pop(gallery.gallery_id, None)
            raise


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise InvalidRequest(f"a limit of {limit} asks for nothing; give 1 or more")


def _check_sha256(content_sha256: str) -> None:
    if not SHA256.fullmatch(content_sha256):
        raise InvalidRequest(
            f"content_sha256 is {content_sha256[:80]!r}; give 64 hexadecimal digits in lower case"
        )
