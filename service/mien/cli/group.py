"""A command line whose errors are one sentence and exit status 2, never a traceback."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from mien.errors import ExtraMissing, MienError

REFUSED, INTERRUPTED = 2, 130


class Group(click.Group):
    """Commands that end with exit status 2 and the message of a MienError or an OSError.

    Whatever else goes wrong ends with 2 too, since 1 is the answer "no" of some commands.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (MienError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read our output has read enough; click ends quietly
            click.echo(f"{ctx.command_path}: {error}", err=True)
            ctx.exit(REFUSED)
        except (click.Abort, KeyboardInterrupt):
            click.echo(f"{ctx.command_path}: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except Exception:
            traceback.print_exc()
            ctx.exit(REFUSED)


@contextmanager
def needing(package: str, extra: str) -> Iterator[None]:
    """An import of what only an extra of this distribution brings. Raises ExtraMissing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ExtraMissing(
            f"this command needs the package {package}; pip install 'mien[{extra}]'"
        ) from None
