"""`mien gallery` of who keeps galleries: run in this process, and where it is to work."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from mien.cli.main import main
from mien.server.server import Server
from tests.server.galleries import person


def run(*arguments: str | Path) -> Result:
    """`mien gallery` with these arguments, in this process."""
    return CliRunner().invoke(main, ["gallery", *map(str, arguments)])


def told(result: Result, status: int = 0) -> dict[str, Any]:
    """What a command printed with --json."""
    assert result.exit_code == status, result.output
    fields = json.loads(result.stdout)
    assert isinstance(fields, dict)
    return fields


def refused(result: Result) -> str:
    """The sentence of a refusal: exit status 2, nothing on stdout, no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


@dataclass
class Place:
    """Where a command is to work."""

    options: tuple[str, ...]
    data: Path
    server: Server | None

    def break_index(self) -> None:
        """So that it differs from the store: in memory, or else in its file."""
        if self.server:
            self.server._galleries._gallery("staff").index.rows.vectors[0] *= -1
            return
        path = self.data / "staff.index"
        content = bytearray(path.read_bytes())
        content[-20] ^= 1
        path.write_bytes(content)

    def damage(self) -> None:
        """The store: a bit of somebody's vector."""
        path = self.data / "mien.sqlite3"
        if self.server:
            self.server._galleries._store.journal.settle()
        with path.open("r+b") as file:
            at = file.read().index(person(2)[0].tobytes())
            file.seek(at)
            file.write(b"\xff")
