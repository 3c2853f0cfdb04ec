"""`mien evaluate`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mien.cli.group import needing
from mien.cli.options import bundle_type, detector_option, json_option, threshold_option
from mien.model import built_in

if TYPE_CHECKING:
    from mien.evaluation.contract import Report
    from mien.evaluation.evaluate import Request

OPTIONS = (
    click.option(
        "--pairs",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Compare the pairs of this file, in LFW's format; DATASET is its image folder.",
    ),
    click.option(
        "--groups",
        type=click.Path(path_type=Path),
        metavar="FILE.csv",
        help="Rates per group: a CSV with the columns person and group.",
    ),
    threshold_option,
    detector_option,
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write report.html, report.json and the figures.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the people who are drawn, to enrol and for the intervals.",
    ),
    json_option,
)

Command = TypeVar("Command", bound=Callable[..., Any])


def evaluation_options(command: Command) -> Command:
    """What `mien evaluate` and `mien bundle compare` share."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), metavar="[BUNDLE]")
@click.argument(
    "dataset", type=click.Path(path_type=Path), required=False, default=None, metavar="DATASET"
)
@click.option(
    "--against", type=bundle_type, metavar="BUNDLE2", help="Another bundle on the same pictures."
)
@click.option(
    "--save-vectors",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Save the vectors; later FILE.npz can stand for DATASET.",
)
@evaluation_options
def evaluate(
    bundle: Path,
    dataset: Path | None,
    against: Path | None,
    save_vectors: Path | None,
    pairs: Path | None,
    groups: Path | None,
    threshold: float | None,
    detector_model: Path | None,
    out: Path | None,
    seed: int,
    json: bool,
) -> None:
    """Measure BUNDLE on DATASET: error rates with their uncertainty, nothing served.

    BUNDLE is the built-in mien-s if left out. DATASET is a folder DATASET/<person>/<picture> of
    people whom the bundle never learned from, or a file that --save-vectors wrote.
    """
    from mien.evaluation.evaluate import Request

    if dataset is None:  # click gives the first argument the only value that there is
        bundle, dataset = Path(built_in.DEFAULT), bundle
    bundle = built_in.find(bundle)
    request = Request(dataset, pairs, groups, threshold, save_vectors, seed, detector_model)
    measure(bundle, against, request, out, json=json)


def measure(
    bundle: Path, against: Path | None, request: "Request", out: Path | None, *, json: bool
) -> None:
    """Evaluate, write to `out` if there is one, and print: JSON, or a short table.

    `mien bundle compare A B DATASET` is this with `against`.

    Raises InvalidRequest and OutputExists before anything is measured.
    """
    from mien.evaluation.evaluate import evaluate as evaluated
    from mien.evaluation.sources import refuse_bundle
    from mien.evaluation.summary import summary
    from mien.model.bundle import load

    if out is not None:
        _check_out(out, request.save_vectors)
    refuse_bundle(request.dataset)
    report = evaluated(load(bundle), request, None if against is None else load(against))
    if out is not None:
        _write(report, out)
    click.echo(report.model_dump_json(indent=2) if json else summary(report))
    if out is not None and not json:
        click.echo(f"\n{out / 'report.html'}\n{out / 'report.json'}")


def _check_out(out: Path, save_vectors: Path | None) -> None:
    """Before anything is measured."""
    from mien.errors import InvalidRequest, OutputExists
    from mien.evaluation.destination import check_writable

    with needing("matplotlib", "report"):
        import matplotlib  # noqa: F401 - to learn that it is there
    with needing("jinja2", "report"):
        import jinja2  # noqa: F401
    check_writable(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputExists(f"{out} exists already and is not empty; choose another name")
    if save_vectors is not None and out.absolute() in save_vectors.absolute().parents:
        raise InvalidRequest(
            f"{save_vectors} lies in {out}, which the report fills alone; choose another place"
        )


def _write(report: "Report", out: Path) -> None:
    from mien.report.evaluation import write

    write(report, out)
