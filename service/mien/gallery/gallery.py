"""One gallery in memory: what it admits, its index, and the file in which that outlives us."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.errors import MienError, ModelMismatch, SettingsInvalid, StorageFull, StoreInvalid
from mien.gallery.agreement import disagreements
from mien.gallery.index import index_file
from mien.gallery.index.index_file import Identity, Saved, Unusable
from mien.gallery.index.nearest import Ints
from mien.gallery.index.rows import Rows
from mien.gallery.index.sample_index import Hits, SampleIndex
from mien.gallery.index.scan import Scan
from mien.gallery.records import Finding, Found, GalleryInfo, Match
from mien.gallery.store.contents import Contents, Owners
from mien.gallery.store.store import Store
from mien.gallery.times import to_microseconds
from mien.matching.fusion import Rule
from mien.matching.metrics import Vectors
from mien.shortage import shortage

SAVED_FROM = 10_000
"""Samples from which on the index is saved unasked. Fewer are read from the store in 50 ms, and
would cost an fsync more with each deletion."""

_log = logging.getLogger(__name__)


class Gallery:
    """A gallery that has been opened: bound to one model, searchable.

    Searches run beside each other and beside one change. Whoever makes changes makes them one at a
    time, in the store first.
    """

    def __init__(self, info: GalleryInfo, store: Store, directory: Path, scan: Scan) -> None:
        """Bring the saved index up to date with the store, or build it from the store."""
        self.gallery_id = info.gallery_id
        self.model_fingerprint = info.model_fingerprint
        self.dim = info.dim
        self._store, self._scan = store, scan
        self._path = path_of(info.gallery_id, directory)
        created = to_microseconds(info.created)
        self._identity = Identity(info.gallery_id, created, info.model_fingerprint, info.dim)
        self._saved: int | None = None
        self._index = self._restored(info) or SampleIndex(
            info.dim, info.revision, nearest=scan.nearest
        )
        rebuilt = self._saved is None
        self._take_in(info.revision)
        if self._index.tend() or rebuilt:
            self.save_unasked()

    @property
    def index(self) -> SampleIndex:
        return self._index

    def check_model(self, model_fingerprint: str) -> None:
        """Raise ModelMismatch unless it is this gallery's: others' vectors mean something else."""
        if model_fingerprint != self.model_fingerprint:
            raise ModelMismatch(
                f"gallery {self.gallery_id!r} is bound to model {self.model_fingerprint!r}, and "
                f"this is of {model_fingerprint!r}; serve that model, or enrol into a new gallery"
            )

    def search(
        self,
        probes: Vectors,
        limit: int,
        fusion: Rule = "max",
        *,
        exact: bool = False,
        among: Ints | None = None,
    ) -> Found | None:
        """As `SampleIndex.search`; None if a change came between the search and the names of it."""
        hits = self._index.search(probes, limit, fusion, exact=exact, among=among)
        found = self._found([hits])
        return found[0] if found else None

    def search_each(self, probes: Vectors, limit: int, fusion: Rule) -> list[Found] | None:
        """As `SampleIndex.search_each`; None as of `search`."""
        return self._found(self._index.search_each(probes, limit, fusion))

    def _found(self, searches: list[Hits]) -> list[Found] | None:
        keys = {key for hits in searches for key in hits.keys.tolist()}
        names = self._store.names(list(keys))
        for hits in searches:
            subjects = {names[key][0] for key in hits.keys.tolist() if key in names}
            if len(subjects) < len(hits.keys):
                return None
        return [_found(hits, names) for hits in searches]

    def follow(self, revision: int) -> None:
        """Take in what the store has more than the index, as of this revision."""
        self._take_in(revision)
        if self._index.tend():
            self.save_unasked()

    def take(self, keys: list[int], subjects: list[int], vectors: Vectors, revision: int) -> None:
        """Take in what was just added to the store, and nothing else was: spares reading it back.

        Keys [n] of samples and of their subjects, vectors float32 [n, D].
        """
        owned = np.array(keys, np.int64), np.array(subjects, np.int64)
        self._index.add(*owned, vectors, revision)
        if self._index.tend():
            self.save_unasked()

    def forget(self, keys: list[int], revision: int) -> None:
        """Drop samples that the store has no more, from memory and from the file.

        Raises StoreInvalid if the file can neither be changed nor be removed.
        """
        gone = np.array(keys, np.int64)
        self._index.remove(gone, revision)
        self._index.tend()
        self._erase(gone)

    def move(self, keys: list[int], subject: int, revision: int) -> None:
        """Make samples another subject's, which the store calls by this key."""
        self._index.move(np.array(keys, np.int64), subject, revision)

    def save(self) -> None:
        """Write the file as of now. Searches go on. Raises StorageFull and SettingsInvalid."""
        try:
            self._write()
        except OSError as error:
            raise _refusal(self._path, error) from error

    def save_unasked(self) -> None:
        """The same if it is worth it; what stands in the way is logged."""
        if len(self._index.rows) < SAVED_FROM or self._saved == self._index.revision:
            return
        try:
            self._write()
        except OSError as error:
            _log.warning("%s was not saved: %s", self._path.name, error)

    def check(self) -> list[Finding]:
        """How the index in memory, and the file if there is one, differ from the store."""
        owners = self._store.owners(self.gallery_id)
        contents = self._store.contents(self.gallery_id)
        return disagreements("index", self._index.rows, owners, contents) + self._check_file(owners)

    def discard_file(self) -> None:
        """Remove the file. Raises StoreInvalid if that is impossible."""
        _remove(self._path)

    def _check_file(self, owners: Owners) -> list[Finding]:
        """It may be older than the index, but must have had everybody who is in both."""
        try:
            saved = index_file.read(self._path, self._identity)
            gone = _assign(saved.rows, owners)
        except FileNotFoundError:
            return []
        except (Unusable, OSError) as error:
            return [Finding("index file", f"{self._path.name}: {error}")]
        saved.rows.remove(saved.rows.of_keys(gone))
        there = np.isin(owners.keys, saved.rows.keys)
        theirs = Owners(owners.keys[there], owners.subjects[there])
        contents = self._store.contents(self.gallery_id)
        return disagreements("index file", saved.rows, theirs, _only(contents, saved.rows))

    def _write(self) -> None:
        revision = self._index.revision
        index_file.write(
            self._path, self._identity, revision, self._index.rows, self._index.inverted
        )
        self._saved = revision

    def _take_in(self, revision: int) -> None:
        for batch in self._store.contents(self.gallery_id, self._index.newest):
            self._index.add(batch.keys, batch.subjects, batch.vectors, revision)
        self._index.note(revision)

    def _erase(self, keys: Ints) -> None:
        try:
            index_file.erase(self._path, keys)
        except (Unusable, OSError) as error:
            _log.warning("%s is removed, since it cannot be changed: %s", self._path, error)
            _remove(self._path)

    def _restored(self, info: GalleryInfo) -> SampleIndex | None:
        """The saved index without what is gone; None, and no file, if it cannot be used."""
        try:
            saved = index_file.read(self._path, self._identity)
            return self._matched(saved, info, self._store.owners(self.gallery_id))
        except FileNotFoundError:
            return None
        except (Unusable, OSError) as error:
            _log.warning("%s is built anew, since the file cannot be used: %s", self._path, error)
            _remove(self._path)
            return None

    def _matched(self, saved: Saved, info: GalleryInfo, owners: Owners) -> SampleIndex:
        if saved.revision > info.revision:
            raise Unusable(
                f"it is of revision {saved.revision}, and the store is at {info.revision}"
            )
        gone = _assign(saved.rows, owners)
        index = SampleIndex(
            info.dim, saved.revision, saved.rows, saved.inverted, self._scan.nearest
        )
        if len(gone):
            index.remove(gone, saved.revision)
            self._erase(gone)
        self._saved = saved.revision
        return index


def _only(batches: Iterator[Contents], rows: Rows) -> Iterator[Contents]:
    """The samples of batches that are among the rows."""
    for batch in batches:
        there = np.isin(batch.keys, rows.keys)
        yield Contents(batch.keys[there], batch.subjects[there], batch.vectors[there])


def path_of(gallery_id: str, directory: Path) -> Path:
    """Of the file that holds a gallery's index."""
    return directory / f"{gallery_id}{index_file.SUFFIX}"


def _assign(rows: Rows, owners: Owners) -> Ints:
    """Fill in whose the samples are; return the keys of those that the store has no more.

    Keys only grow, and none is used twice. Raises Unusable if a sample is missing that is older
    than the newest here.
    """
    keys = rows.keys
    places = np.searchsorted(owners.keys, keys)
    places[places == len(owners.keys)] = 0
    there = owners.keys[places] == keys if len(owners.keys) else np.zeros(len(keys), bool)
    older = np.searchsorted(owners.keys, keys.max(initial=0), side="right")
    has = np.zeros(older, bool)
    has[places[there]] = True
    if not has.all():
        raise Unusable(f"it has {has.sum()} of the {older} samples that it should have")
    rows.subjects[:] = -1
    rows.subjects[there] = owners.subjects[places[there]]
    return np.array(keys[~there])


def _found(hits: Hits, names: dict[int, tuple[str, str]]) -> Found:
    matches = [
        Match(*names[key], similarity=_cosine(similarity))
        for key, similarity in zip(hits.keys.tolist(), hits.similarities.tolist(), strict=True)
    ]
    matches.sort(key=lambda match: (-match.similarity, match.subject_id))
    return Found(
        tuple(matches), hits.subjects, hits.samples, hits.samples_per_subject, hits.revision
    )


def _cosine(similarity: float) -> float:
    """Rounding may carry the product of two unit vectors just past 1."""
    return max(-1.0, min(1.0, similarity))


def _remove(path: Path) -> None:
    try:
        index_file.remove(path)
    except OSError as error:
        raise StoreInvalid(
            f"{path} may hold what was deleted and cannot be removed: {error}; remove it"
        ) from error


def _refusal(path: Path, error: OSError) -> MienError:
    if short := shortage(error):
        return StorageFull(short.of(path))
    return SettingsInvalid(f"cannot write {path}: {error.strerror}; make it writable")
