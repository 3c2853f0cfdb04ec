"""What the parts of `Galleries` share."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from mien.gallery.gallery import Gallery
from mien.gallery.matches import Matches
from mien.gallery.store import Removed, Store


class Room(ABC):
    """A store, the galleries that are in memory, and a lock by which one change goes at a time."""

    _store: Store
    _matches: Matches
    _change: AbstractContextManager[object]

    @abstractmethod
    def _gallery(self, gallery_id: str) -> Gallery:
        """The gallery in memory. Raises InvalidId and GalleryNotFound."""

    @abstractmethod
    def _load(self, gallery_id: str) -> Gallery:
        """The same; read from the store if it is not in memory. Raises GalleryNotFound."""

    @abstractmethod
    def _following(self, gallery: Gallery) -> AbstractContextManager[None]:
        """While the gallery is told what the store has done; forgotten if it cannot follow."""

    @abstractmethod
    def _drop(self, gallery: Gallery, removed: Removed) -> None:
        """Tell the gallery of samples that are gone, if any are."""

    @abstractmethod
    def _follow(self, gallery_id: str) -> None:
        """Tell the gallery that there is something new in the store."""
