"""`mien bundle compare`."""

from pathlib import Path
from typing import Any

import click

from mien.cli.evaluate import evaluation_options, measure
from mien.cli.options import bundle_type


@click.command()
@click.argument("a", type=bundle_type)
@click.argument("b", type=bundle_type)
@click.argument("dataset", type=click.Path(path_type=Path))
@evaluation_options
def compare(
    a: Path,
    b: Path,
    dataset: Path,
    out: Path | None,
    json: bool,
    **given: Any,
) -> None:
    """Measure bundles A and B on the same pictures of DATASET, and test the difference.

    Either may be the name of a built-in bundle. It is `mien evaluate A DATASET --against B`.
    """
    from mien.evaluation.request import Request

    measure(a, b, Request(dataset, **given), out, json=json)
