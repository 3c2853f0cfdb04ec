"""How far a run is: a bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm


class Progress:
    """Counts images, of which earlier processes have `done` some in so many `seconds`.

    The rate is that of this process. With `tells` off it says nothing.
    """

    def __init__(
        self, epochs: int, images: int, done: int, seconds: float, *, tells: bool = True
    ) -> None:
        self._epochs, self._images = epochs, images
        self._done, self._before, self._started = done, done, time.monotonic()
        self._seconds_before = seconds
        self._tells = tells
        self._bar = tqdm(
            total=images,
            initial=done,
            unit=" images",
            unit_scale=True,
            disable=None if tells else True,
        )

    @property
    def seconds(self) -> float:
        """Spent on learning, over all processes."""
        return self._seconds_before + time.monotonic() - self._started

    def step(self, images: int) -> None:
        self._done += images
        self._bar.update(images)

    def epoch(self, number: int, columns: Mapping[str, float | None], *, is_last: bool) -> None:
        """Tell of an epoch; without a terminal only of the last one and of those validated."""
        eer = columns["validation_eer"]
        told = f"loss {columns['loss']:.3f}" + (
            f", validation EER {eer:.1%}" if eer is not None else ""
        )
        self._bar.set_description(f"epoch {number}/{self._epochs}, {told}")
        if self._tells and self._bar.disable and (eer is not None or is_last):
            rate = (self._done - self._before) / (time.monotonic() - self._started)
            left = 0 if is_last else (self._images - self._done) / rate
            line = f"epoch {number}/{self._epochs}: {told}, {rate:,.0f} images/s, {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._bar.close()
