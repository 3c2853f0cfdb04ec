"""`mien bundle compare`."""

from pathlib import Path
from typing import Any

import click

from mien.cli.evaluate import bundle_type, dataset_argument, evaluation_options, measure


@click.command()
@click.argument("a", type=bundle_type)
@click.argument("b", type=bundle_type)
@dataset_argument
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

    It is `mien evaluate A DATASET --against B`.
    """
    from mien.evaluation.request import Request

    measure(a, b, Request(dataset, **given), out, json=json)
