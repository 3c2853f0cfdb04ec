"""The part of `Galleries` that an operator sees to."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from mien.errors import GalleryNotFound, ModelMismatch
from mien.gallery import backup, everybody, integrity
from mien.gallery.directory import Directory
from mien.gallery.everybody import Everybody
from mien.gallery.ids import check_id
from mien.gallery.records import Check, Expired, GalleryInfo, Stamp
from mien.gallery.times import to_microseconds, wall

AT_ONCE = 1000
"""Subjects or samples that expire in one transaction, so that other changes need not wait long."""


class Upkeep(Directory):
    """Forgetting in time, looking for damage, copying and bringing back."""

    def expire(self, now: datetime | None = None) -> list[Expired]:
        """Forget who is due by `now`, as galleries' retention and their own dates say.

        The machine's clock is asked, not the store's, which never goes back: nobody is forgotten
        before the time has come. Says what went from which gallery, if anything did.

        Raises DataDirectoryLocked if a foreign process holds the old bytes: gone all the same.
        """
        moment = wall() if now is None else to_microseconds(now)
        self.flush_matches()
        expired = [each for info in self._all() if (each := self._expire(info.gallery_id, moment))]
        self._store.prune()
        if expired:
            self._store.purge()
        return expired

    def check(self) -> Check:
        """Count what is in the store, and list what is wrong with it; changes wait meanwhile."""
        with self._store.journal.lock:
            return integrity.check_file(self._store.path)

    def everybody(self, gallery_id: str) -> Everybody:
        """Every sample of a gallery as of one revision; changes wait while it is read."""
        check_id("gallery", gallery_id)
        with self._change:
            return everybody.read(self._store, gallery_id)

    def snapshot(self, gallery_id: str, target: Path) -> Stamp:
        """Write a gallery to a new file, consistent while changes go on.

        Raises OutputExists and StorageFull.
        """
        check_id("gallery", gallery_id)
        self.flush_matches()
        return backup.snapshot(self._store, gallery_id, target)

    @contextmanager
    def open_snapshot(self, gallery_id: str) -> Iterator[tuple[Stamp, BinaryIO]]:
        """The same to read, while no file of the directory has any of it.

        Raises StorageFull.
        """
        check_id("gallery", gallery_id)
        self.flush_matches()
        with backup.unnamed(self._store, gallery_id) as taken:
            yield taken

    def restore(
        self, source: Path, gallery_id: str = "", model_fingerprint: str = ""
    ) -> GalleryInfo:
        """Take a snapshot into a gallery that is new or empty: the one it is of, unless named.

        Who was deleted after it was taken is enrolled again.

        Raises SnapshotInvalid (none, or damaged), GalleryExists (not empty) and ModelMismatch
        (not of the gallery's model, or not of the one that is given).
        """
        snapshot = backup.read(source)
        wanted = gallery_id or snapshot.stamp.gallery_id
        check_id("gallery", wanted)
        if model_fingerprint not in ("", snapshot.stamp.model_fingerprint):
            raise ModelMismatch(
                f"the snapshot is of model {snapshot.stamp.model_fingerprint!r}, and not of "
                f"{model_fingerprint!r}; enrol the pictures again"
            )
        with self._change:
            info = backup.restore(self._store, source, snapshot, wanted)
            self._follow(wanted)
            return info

    def _expire(self, gallery_id: str, now: int) -> Expired | None:
        subjects = samples = revision = 0
        try:
            for noun, keys in self._store.due(gallery_id, now).items():
                for start in range(0, len(keys), AT_ONCE):
                    with self._change:
                        self._flush_matches()
                        gallery = self._gallery(gallery_id)
                        removed, gone = self._store.expire(
                            gallery_id, noun, keys[start : start + AT_ONCE], now
                        )
                        self._drop(gallery, removed)
                    subjects, samples = subjects + gone, samples + len(removed.keys)
                    revision = removed.deletion.revision
        except GalleryNotFound:
            return None  # deleted meanwhile, with everybody
        return Expired(gallery_id, subjects, samples, revision) if samples else None

    def _all(self) -> list[GalleryInfo]:
        infos: list[GalleryInfo] = []
        while more := self._store.galleries(infos[-1].gallery_id if infos else "", 1000):
            infos += more
        return infos
