"""`mien bundle compare`."""

from pathlib import Path

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
    pairs: Path | None,
    groups: Path | None,
    threshold: float | None,
    detector_model: Path | None,
    out: Path | None,
    seed: int,
    json: bool,
) -> None:
    """Measure bundles A and B on the same pictures of DATASET, and test the difference.

    Either may be the name of a built-in bundle. It is `mien evaluate A DATASET --against B`.
    """
    from mien.evaluation.evaluate import Request

    request = Request(dataset, pairs, groups, threshold, None, seed, detector_model)
    measure(a, b, request, out, json=json)
