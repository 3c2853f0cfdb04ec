"""A data directory in the hands of this process: what the parts of `Galleries` share."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

from mien.gallery.gallery import Gallery
from mien.gallery.ids import check_id
from mien.gallery.index import index_file
from mien.gallery.index.scan import Scan
from mien.gallery.lock import DirectoryLock
from mien.gallery.matches import Matches
from mien.gallery.store.forgetting import Removed
from mien.gallery.store.store import FILE_NAME, Store


class Directory:
    """A store, the galleries that are in memory, and a lock by which one change goes at a time."""

    def __init__(self, data: Path, cores: int = 1) -> None:
        """Open the directory; it is made if missing. `cores` are for a search that is alone.

        Raises DataDirectoryLocked (another process has it), StoreInvalid (damaged, or written by a
        newer mien) and SettingsInvalid (not writable).
        """
        self._change = threading.RLock()
        self._opened: dict[str, Gallery] = {}
        self._matches = Matches()
        with ExitStack() as resources:
            resources.enter_context(DirectoryLock(data))
            self._store = resources.enter_context(closing(Store(data / FILE_NAME)))
            self._scan = resources.enter_context(closing(Scan(cores)))
            self._data = data
            self._load_all()
            self._resources = resources.pop_all()

    def close(self) -> None:
        """Wait for a change that is under way, save what is noted, and let the directory go."""
        with self._change, closing(self._resources):
            self._flush_matches()
            for gallery in self._opened.values():
                gallery.save_unasked()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def flush_matches(self) -> None:
        """Make the noted matches durable."""
        with self._change:
            self._flush_matches()

    def _flush_matches(self) -> None:
        times = self._matches.take()
        if not times:
            return
        try:
            self._store.match(times)
        except BaseException:
            self._matches.put_back(times)
            raise

    def _gallery(self, gallery_id: str) -> Gallery:
        check_id("gallery", gallery_id)
        return self._opened.get(gallery_id) or self._load(gallery_id)

    def _load(self, gallery_id: str) -> Gallery:
        with self._change:
            if gallery_id not in self._opened:
                info = self._store.gallery(gallery_id)
                self._opened[gallery_id] = Gallery(info, self._store, self._data, self._scan)
            return self._opened[gallery_id]

    def _load_all(self) -> None:
        last = ""
        while infos := self._store.galleries(last, 1000):
            for info in infos:
                self._load(info.gallery_id)
            last = infos[-1].gallery_id
        index_file.remove_strays(self._data, set(self._opened))

    @contextmanager
    def _following(self, gallery: Gallery) -> Iterator[None]:
        """While the gallery is told what the store has done; forgotten if it cannot follow.

        It is built anew at the next use then, so that it never disagrees with the store.
        """
        try:
            yield
        except BaseException:
            self._opened.pop(gallery.gallery_id, None)
            raise

    def _drop(self, gallery: Gallery, removed: Removed) -> None:
        if removed.keys:
            with self._following(gallery):
                gallery.forget(removed.keys, removed.deletion.revision)

    def _follow(self, gallery_id: str) -> None:
        gallery = self._gallery(gallery_id)
        with self._following(gallery):
            gallery.follow(self._store.gallery(gallery_id).revision)
