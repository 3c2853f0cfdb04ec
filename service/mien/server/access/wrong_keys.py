"""How often an address may call without an API key that is accepted.

Nobody guesses a key (`access.keys`); but whoever tries, or a program whose key was revoked, would
fill the disk with lines of the audit. A key that is accepted is never refused for what others of
its address did, such as all behind one proxy.
"""

import time
from collections.abc import Callable

from mien.errors import RateLimited
from mien.server.access.rates import Rates

ADDRESSES = 10
"""All addresses together may do so often what one may: there is no end of IPv6 addresses."""
_ALL = "all"


class WrongKeys:
    """A minute's worth at once, and then `per_minute`; 0 sets no limit.

    Safe to use from several threads.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        burst = max(1, round(per_minute))
        self._per_minute = per_minute
        self._each = Rates(per_minute / 60, burst, clock)
        self._all = Rates(ADDRESSES * per_minute / 60, ADDRESSES * burst, clock)

    def take(self, address: str) -> None:
        """Note one. Raises RateLimited, with the seconds after which it is told again why."""
        if seconds := self._each.missing(address) or self._all.missing(_ALL):
            raise RateLimited(
                f"more than {self._per_minute:g} calls a minute without an API key that is accepted"
                "; call with one, which is never too often, or ask whoever runs this server",
                seconds,
            )
