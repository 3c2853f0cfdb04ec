"""Moments, as the store keeps them: microseconds since 1970, UTC."""

import threading
from datetime import UTC, datetime, timedelta

from mien.errors import InvalidRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Clock:
    """The machine's clock, but never behind what it has shown before, nor behind `latest`.

    While the machine's clock is behind, time stands still here: what is enrolled then is not
    dated back, and so does not fall due early once the clock is right again.
    """

    def __init__(self, latest: int) -> None:
        self._lock = threading.Lock()
        self._latest = latest

    def now(self) -> int:
        """Microseconds since 1970. For many threads."""
        with self._lock:
            self._latest = max(self._latest, wall())
            return self._latest


def wall() -> int:
    """What the machine's clock shows."""
    return to_microseconds(datetime.now(UTC))


def to_microseconds(moment: datetime) -> int:
    """Raises InvalidRequest if the moment has no time zone."""
    if moment.tzinfo is None:
        raise InvalidRequest(f"{moment} is of no time zone; give it one, such as UTC")
    return (moment - EPOCH) // MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """Aware, in UTC."""
    return EPOCH + microseconds * MICROSECOND


def moment_or_none(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else to_moment(microseconds)


def microseconds_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
