"""Which face of a photograph is meant, on the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mien.client.requests import MultiFace
    from mien.v1.probe_pb2 import Image, Quality

Command = TypeVar("Command", bound=Callable[..., Any])

Target = tuple[float, float, float, float]
"""Left, top, width and height, in shares of the upright picture."""


class _Target(click.ParamType[Target]):
    name = "L,T,W,H"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Target:
        if isinstance(value, tuple):
            return value
        try:
            left, top, width, height = map(float, str(value).split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not left, top, width and height in shares of the picture, as "
                "0.5,0.1,0.2,0.3",
                param,
                ctx,
            )
        return left, top, width, height


def target_option(name: str, of: str) -> Callable[[Command], Command]:
    """Where the one face is that is meant."""
    text = f"Roughly where the face is {of}: left, top, width, height in shares of the picture."
    return click.option(name, type=_Target(), help=text)


def multi_face_option(policies: Sequence[str], unless: str) -> Callable[[Command], Command]:
    """What to do with a picture of several faces; None leaves it to the server."""
    text = f"Of a picture of several faces; {unless} unless said."
    return click.option("--multi-face", type=click.Choice(policies), help=text)


def multi_face_policy(said: str | None) -> "MultiFace":
    """In the contract."""
    from mien.v1.probe_pb2 import MultiFacePolicy

    return MultiFacePolicy.Value(f"MULTI_FACE_POLICY_{(said or 'unspecified').upper()}")


def read_picture(path: Path, target: Target | None) -> "Image":
    """A file, and where in it the face is."""
    from mien.client import picture

    return picture(path.read_bytes(), target)


def near_limits(quality: "Quality") -> str:
    """What is doubtful of a picture, as the end of a sentence; empty if nothing is."""
    from mien.v1.reason_pb2 import Reason

    names = [Reason.Name(each).removeprefix("REASON_") for each in quality.warnings]
    return f"near its limit: {', '.join(names)}" if names else ""
