"""`mien`: serve a bundle, keep galleries, ask who is who.

Commands import what they need when they run, so that `--help` answers at once.
"""

import click

from mien.cli.bundle import bundle
from mien.cli.enroll import enroll
from mien.cli.evaluate import evaluate
from mien.cli.gallery import gallery
from mien.cli.group import Group
from mien.cli.health import health
from mien.cli.identify import identify
from mien.cli.keys import keys
from mien.cli.models import models
from mien.cli.serve import serve
from mien.cli.verify import verify


@click.group(cls=Group)
@click.version_option(package_name="mien")
def main() -> None:
    """Face verification at an error rate that you ask for."""


for command in (serve, enroll, verify, identify, gallery, evaluate, bundle, models, health, keys):
    main.add_command(command)
