"""What a run says of itself: a bar on a terminal, lines elsewhere, and log.csv."""

import csv
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

FILE = "log.csv"


class Progress:
    """Counts images; the rate is over the whole run so far."""

    def __init__(self, folder: Path, epochs: int, images: int) -> None:
        self._path, self._epochs, self._images = folder / FILE, epochs, images
        self._done, self._started = 0, time.monotonic()
        self._bar = tqdm(total=images, unit=" images", unit_scale=True, disable=None)

    def step(self, images: int) -> None:
        self._done += images
        self._bar.update(images)

    def epoch(self, number: int, row: Mapping[str, float | None]) -> None:
        """Add a row to the log; where it has a validation EER, say so in a line."""
        seconds = time.monotonic() - self._started
        self._append({"epoch": number, "seconds": round(seconds, 3), **row})
        eer = row["validation_eer"]
        told = f"loss {row['loss']:.3f}" + (
            f", validation EER {eer:.1%}" if eer is not None else ""
        )
        self._bar.set_description(f"epoch {number}/{self._epochs}, {told}")
        if self._bar.disable and (eer is not None or number == self._epochs):
            rate = self._done / seconds
            left = (self._images - self._done) / rate
            line = f"epoch {number}/{self._epochs}: {told}, {rate:,.0f} images/s, {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._bar.close()

    def _append(self, row: Mapping[str, float | None]) -> None:
        is_new = not self._path.exists()
        with self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
