"""What a run writes down after every epoch: log.csv, and the same for TensorBoard."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from torch.utils.tensorboard import SummaryWriter

FILE = "log.csv"
EVENTS = "tensorboard"

Row: TypeAlias = dict[str, float | None]
"""A column is empty where it is None."""


class Log:
    """Rows of one run. It begins with those of an earlier process, so that none is there twice.

    With `writes` off it keeps them in memory only.
    """

    def __init__(self, folder: Path, rows: Sequence[Row], *, writes: bool = True) -> None:
        self._path = folder / FILE if writes else None
        self._events: SummaryWriter | None = None
        self.rows: list[Row] = []
        if self._path:
            self._path.unlink(missing_ok=True)
            # What an earlier process wrote after its last checkpoint is taken out of the view.
            self._events = SummaryWriter(str(folder / EVENTS), purge_step=len(rows) + 1)
        for row in rows:
            self._append(row)

    @property
    def seconds(self) -> float:
        """How long learning took until the last row, over all processes."""
        return (self.rows[-1]["seconds"] or 0.0) if self.rows else 0.0

    def add(self, epoch: int, seconds: float, columns: Mapping[str, float | None]) -> None:
        """Write the row of an epoch."""
        row: Row = {"epoch": epoch, "seconds": round(seconds, 3), **columns}
        self._append(row)
        if self._events:
            for name, value in columns.items():
                if value is not None:
                    self._events.add_scalar(name, value, epoch)
            self._events.flush()

    def close(self) -> None:
        if self._events:
            self._events.close()

    def _append(self, row: Row) -> None:
        if self._path:
            with self._path.open("a", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list((self.rows or [row])[0]))
                if not self.rows:
                    writer.writeheader()
                writer.writerow(row)
        self.rows.append(row)
