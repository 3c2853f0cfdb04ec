"""What the parts of `Galleries` share."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from mien.gallery.gallery import Gallery
from mien.gallery.index import SampleIndex
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
    def _reload(self, gallery_id: str) -> None:
        """Read the gallery anew; searches see it as before until that is done."""

    @abstractmethod
    def _following(self, gallery: Gallery) -> AbstractContextManager[SampleIndex]:
        """The index, to be told what the store has done; forgotten if it cannot follow."""

    @abstractmethod
    def _drop(self, gallery: Gallery, removed: Removed) -> None:
        """Tell the index of samples that are gone, if any are."""

    @abstractmethod
    def _follow_revision(self, gallery_id: str) -> None:
        """Tell the index of a change that no search can see."""
