"""The curves of a run for TensorBoard."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

FOLDER = "tensorboard"
FORMAT = "brain.Event:2"
"""What TensorBoard expects in the first event of a file."""


class Events:
    """A file of events, written as they come.

    TensorBoard's own writer leaves that to a thread, where a full disk is a traceback and not the
    end of the run.
    """

    def __init__(self, run: Path, first_epoch: int) -> None:
        """Epochs that an earlier process wrote from `first_epoch` on are taken out of the view."""
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self.path = run / FOLDER / name
        self._first_epoch = first_epoch

    def open(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        restart = SessionLog(status=SessionLog.START)
        self._write(Event(file_version=FORMAT))
        self._write(Event(session_log=restart, step=self._first_epoch))

    def add(self, epoch: int, columns: Mapping[str, float | None]) -> None:
        """The columns of an epoch, but those that are None."""
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in columns.items()
            if value is not None
        ]
        if values:
            self._write(Event(summary=Summary(value=values), step=epoch))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with self.path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
