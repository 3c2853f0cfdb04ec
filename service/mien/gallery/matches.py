"""When subjects were matched last, until it is written."""

import threading
from collections.abc import Iterable

Times = dict[tuple[str, str], int]
"""(gallery_id, subject_id) → microseconds since 1970."""


class Matches:
    """Times that are not in the store yet, so that a search writes nothing. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: Times = {}

    def note(self, gallery_id: str, subject_ids: Iterable[str], at: int) -> None:
        """Subjects were matched at a time. The latest counts."""
        with self._lock:
            for subject_id in subject_ids:
                name = (gallery_id, subject_id)
                self._times[name] = max(at, self._times.get(name, at))

    def take(self) -> Times:
        """All of it, for the store."""
        with self._lock:
            times, self._times = self._times, {}
            return times

    def put_back(self, times: Times) -> None:
        """What the store could not take."""
        for (gallery_id, subject_id), at in times.items():
            self.note(gallery_id, [subject_id], at)

    def forget(self, gallery_id: str, subject_ids: Iterable[str] | None = None) -> None:
        """Subjects are gone, or all of a gallery: who comes under their ids later is not them."""
        with self._lock:
            gone = None if subject_ids is None else set(subject_ids)
            self._times = {
                name: at
                for name, at in self._times.items()
                if name[0] != gallery_id or (gone is not None and name[1] not in gone)
            }
