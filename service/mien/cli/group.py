"""A command line whose errors are one sentence and exit status 2, never a traceback."""

from typing import Any

import click

from mien.errors import MienError


class Group(click.Group):
    """Commands that end with exit status 2 and the message of a MienError or an OSError."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (MienError, OSError) as error:
            click.echo(f"{ctx.command_path}: {error}", err=True)
            ctx.exit(2)
