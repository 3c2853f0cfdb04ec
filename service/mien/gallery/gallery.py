"""One gallery in memory: what it admits, and its index."""

from dataclasses import dataclass
from typing import Self

from mien.errors import ModelMismatch
from mien.gallery.index import SampleIndex
from mien.gallery.records import GalleryInfo
from mien.gallery.store import Store


@dataclass(frozen=True)
class Gallery:
    """A gallery that has been opened: bound to one model, searchable."""

    gallery_id: str
    model_fingerprint: str
    dim: int
    index: SampleIndex

    @classmethod
    def load(cls, info: GalleryInfo, store: Store) -> Self:
        """Build the index from the store. Nothing may write to the gallery meanwhile."""
        index = SampleIndex(info.dim, info.revision)
        for batch in store.batches(info.gallery_id):
            index.add(batch.keys, batch.names, batch.vectors, info.revision)
        return cls(info.gallery_id, info.model_fingerprint, info.dim, index)

    def check_model(self, model_fingerprint: str) -> None:
        """Raise ModelMismatch unless it is this gallery's: others' vectors mean something else."""
        if model_fingerprint != self.model_fingerprint:
            raise ModelMismatch(
                f"gallery {self.gallery_id!r} is bound to model {self.model_fingerprint!r}, and "
                f"this is of {model_fingerprint!r}; serve that model, or enrol into a new gallery"
            )
