"""What a server does for its galleries without being asked."""

import logging
import threading
import time

from mien.errors import MienError
from mien.gallery.galleries import Galleries

FLUSH_SECONDS = 60.0
"""How often times of matches are made durable; a crash loses as much of them."""

_log = logging.getLogger(__name__)


class Upkeep:
    """A thread that forgets who is due, and makes the times of matches durable, until `stop`.

    It begins at once, for what fell due while no server ran. What goes wrong is logged, and tried
    again the next time.
    """

    def __init__(self, galleries: Galleries, expire_seconds: float) -> None:
        self._galleries = galleries
        self._expire_seconds = expire_seconds
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mien-upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after what it is doing."""
        self._told.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        pause = min(FLUSH_SECONDS, self._expire_seconds)
        while not self._told.is_set():
            if time.monotonic() >= due:
                self._try_to_expire()
                due = time.monotonic() + self._expire_seconds
            else:
                self._try_to_flush()
            self._told.wait(pause)

    def _try_to_expire(self) -> None:
        try:
            for each in self._galleries.expire():
                _log.info(
                    "gallery %s: %d subjects and %d samples expired; revision %d",
                    each.gallery_id,
                    each.subjects,
                    each.samples,
                    each.revision,
                )
        except MienError as error:
            _log.warning("what is due was not forgotten, and is tried again: %s", error)
        except Exception:
            _log.exception("what is due was not forgotten, and is tried again")

    def _try_to_flush(self) -> None:
        try:
            self._galleries.flush_matches()
        except MienError as error:
            _log.warning("times of matches were not written, and are tried again: %s", error)
        except Exception:
            _log.exception("times of matches were not written, and are tried again")
