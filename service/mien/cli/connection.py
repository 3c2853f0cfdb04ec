"""The client of a command, with what its options and the environment say of the connection."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.options import CONNECTION

if TYPE_CHECKING:
    from mien.client import Client


def connect(address: str, **more: Any) -> "Client":
    """A client; `more` are other arguments of it."""
    from mien.client import Client

    return Client(
        address,
        root_certificates=_content("tls_ca"),
        certificate_chain=_content("tls_cert"),
        private_key=_content("tls_key"),
        api_key=_api_key(),
        tls=bool(_given("tls")),
        insecure=bool(_given("insecure")),
        **more,
    )


def _given(name: str) -> Any:
    return click.get_current_context().meta.get(f"{CONNECTION}.{name}")


def _content(name: str) -> bytes | None:
    path: Path | None = _given(name)
    return path.read_bytes() if path else None


def _api_key() -> str | None:
    """From the file, or the environment; never from a flag, which every `ps` would show."""
    path: Path | None = _given("api_key_file")
    return path.read_text().strip() if path else os.environ.get("MIEN_API_KEY") or None
