"""Which galleries a caller may know of."""

from mien.errors import GalleryNotFound
from mien.gallery.galleries import Galleries
from mien.gallery.records import GalleryInfo


def visible(
    galleries: Galleries, scope: frozenset[str] | None, after: str, limit: int
) -> list[GalleryInfo]:
    """At most `limit` galleries of a scope with ids above `after`, in order of id; None is all."""
    if scope is None:
        return galleries.page(after, limit)
    found: list[GalleryInfo] = []
    for gallery_id in sorted(each for each in scope if each > after):
        if len(found) == limit:
            break
        try:
            found.append(galleries.get(gallery_id))
        except GalleryNotFound:
            continue  # a key may be for a gallery that is yet to be made
    return found
