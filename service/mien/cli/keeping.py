"""Where an operator's command works: on a server, or on a data directory that no server has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
from click.core import ParameterSource

from mien.cli.options import json_option, server_option

if TYPE_CHECKING:
    from mien.v1 import gallery_pb2, maintenance_pb2, match_pb2


class Keeper(Protocol):
    """What commands ask for, in the contract's messages: `mien.maintenance` over the wire, and
    `mien.cli.offline` without."""

    def stats(self, gallery: str) -> "maintenance_pb2.GalleryStats": ...

    def check(
        self, gallery: str, check_only: bool = False
    ) -> "maintenance_pb2.CheckGalleryResponse": ...

    def snapshot(self, gallery: str, out: Path) -> "maintenance_pb2.SnapshotStamp": ...

    def restore(self, source: Path, gallery: str) -> "gallery_pb2.Gallery": ...

    def export(
        self, gallery: str, subject: str = "", embeddings: bool = False
    ) -> "Iterator[gallery_pb2.SubjectExport]": ...

    def duplicates(
        self, request: "match_pb2.FindDuplicatesRequest"
    ) -> "Iterator[match_pb2.FindDuplicatesResponse]": ...

    def prove_absent(
        self, request: "maintenance_pb2.ProveAbsentRequest"
    ) -> "maintenance_pb2.ProveAbsentResponse": ...

    def expire(self) -> "maintenance_pb2.ExpireSamplesResponse": ...


class Place:
    """What --data or --server names."""

    def __init__(self, data: Path | None, address: str) -> None:
        self.data = data
        self._address = address

    @contextmanager
    def keeper(self, bundle: Path | None = None) -> Iterator[Keeper]:
        """To work there. `bundle`, with a data directory, has the calibration."""
        if self.data is not None:
            from mien.cli.offline import Offline

            yield Offline(self.data, bundle)
            return
        from mien.cli.connection import connect
        from mien.maintenance import Maintenance

        with connect(self._address) as client:
            yield Maintenance(client)


def placed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --data, --server and --json; it takes `place` and `json`."""

    @click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="A data directory that no server has open, instead of --server.",
    )
    @server_option
    @json_option
    @wraps(command)
    def taking(data: Path | None, address: str, **given: Any) -> Any:
        named = (
            click.get_current_context().get_parameter_source("address")
            is ParameterSource.COMMANDLINE
        )
        if data is not None and named:
            raise click.UsageError("--data and --server exclude each other")
        return command(place=Place(data, address), **given)

    return taking
