"""What a run writes down after every epoch: log.csv, and the same for TensorBoard."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from mien_training.events import FOLDER, Events
from mien_training.room import room_for

FILE = "log.csv"
EVENTS = FOLDER

Row: TypeAlias = dict[str, float | None]
"""A column is empty where it is None."""


class Log:
    """Rows of one run. It begins with those of an earlier process, so that none is there twice.

    With `writes` off it keeps them in memory only. All that writes raises StorageFull.
    """

    def __init__(self, folder: Path, rows: Sequence[Row], *, writes: bool = True) -> None:
        self._folder, self._path, self._writes = folder, folder / FILE, writes
        self._events = Events(folder, len(rows) + 1)
        self.rows: list[Row] = []
        if writes:
            with room_for(self._path, folder):
                self._path.unlink(missing_ok=True)
            with room_for(self._events.path, folder):
                self._events.open()
        for row in rows:
            self._append(row)

    @property
    def seconds(self) -> float:
        """How long learning took until the last row, over all processes."""
        return (self.rows[-1]["seconds"] or 0.0) if self.rows else 0.0

    def add(self, epoch: int, seconds: float, columns: Mapping[str, float | None]) -> None:
        """Write the row of an epoch."""
        self._append({"epoch": epoch, "seconds": round(seconds, 3), **columns})
        if self._writes:
            with room_for(self._events.path, self._folder, epoch):
                self._events.add(epoch, columns)

    def _append(self, row: Row) -> None:
        if self._writes:
            with (
                room_for(self._path, self._folder, int(row["epoch"] or 0)),
                self._path.open("a", newline="") as file,
            ):
                writer = csv.DictWriter(file, fieldnames=list((self.rows or [row])[0]))
                if not self.rows:
                    writer.writeheader()
                writer.writerow(row)
        self.rows.append(row)
