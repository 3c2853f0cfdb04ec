"""`mien enroll`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.group import REFUSED, needing
from mien.cli.options import bundle_type, detector_option, gallery_option, server_option
from mien.model import built_in

if TYPE_CHECKING:
    from mien.enrolling.options import Options
    from mien.enrolling.place import Place

REFUSED_SHOWN = 20
"""Refused pictures that are told of on the terminal; the report has all."""

_POLICY = click.Choice(["report", "refuse"])


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@gallery_option
@server_option
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="A data directory that no server has open, instead of --server.",
)
@click.option(
    "--bundle",
    type=bundle_type,
    help="With --data: the bundle that embeds, mien-s if left out; a server has its own.",
)
@detector_option
@click.option("--create", is_flag=True, help="Create the gallery if it is missing.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what became of each picture, one JSON object a line, and a page beside it.",
)
@click.option(
    "--plan", is_flag=True, help="Say what would be added, skipped, changed and removed; no more."
)
@click.option("--validate-only", is_flag=True, help="Do everything but the write.")
@click.option("--sync", is_flag=True, help="Remove what came from SOURCE and is not in it now.")
@click.option("--duplicates", type=_POLICY, default="report", show_default=True,
              help="The same picture of one person again.")  # fmt: skip
@click.option("--other-subject", type=_POLICY, default="report", show_default=True,
              help="One face or picture under two names.")  # fmt: skip
@click.option("--misfits", type=_POLICY, default="report", show_default=True,
              help="A picture that does not fit its subject's others.")  # fmt: skip
@click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="False match rate by which faces are alike; the server's default, if left out.",
)
@click.option("--multi-face", type=click.Choice(["reject", "largest"]), default="reject",
              show_default=True, help="A picture of several faces.")  # fmt: skip
@click.option(
    "--ledger",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where is kept what was done; a file of your own for SOURCE and gallery, if left out.",
)
@click.option("--afresh", is_flag=True, help="Forget the ledger and look at everything again.")
def enroll(source: Path, gallery: str, address: str, **given: Any) -> None:
    """Enrol the pictures of SOURCE: SOURCE/<subject>/…/<picture>, or a list, .csv or .jsonl.

    Killed and run again it goes on. The exit status is 0 if every picture is enrolled, 1 if some
    were refused, and 2 if it failed.
    """
    from mien.enrolling import ledger_file, report
    from mien.enrolling.source import Source

    _check(given)
    options = _options(given)
    where = f"data {given['data'].resolve()}" if given["data"] else f"server {address}"
    path = given["ledger"] or ledger_file.default_path(source, where, gallery)
    came_from = Source(source)
    came_from.items()  # what is no source is refused before anything is opened
    if given["report"]:
        report.check(given["report"])
    with (
        _place(gallery, address, options, given) as place,
        ledger_file.opened(path, afresh=given["afresh"], tries=options.tries) as ledger,
    ):
        status = _run(came_from, gallery, place, ledger, options, given["report"])
    click.get_current_context().exit(status)


def _check(given: dict[str, Any]) -> None:
    named = click.get_current_context().get_parameter_source("address")
    if given["data"] and named is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--data and --server exclude each other")
    if given["bundle"] and not given["data"]:
        raise click.UsageError("--bundle is for --data; a server has its own")
    if given["detector_model"] and not given["data"]:
        raise click.UsageError("--detector-model is for --data; a server has its own")
    if given["plan"] and given["validate_only"]:
        raise click.UsageError("--plan and --validate-only exclude each other")
    if given["create"] and (given["plan"] or given["validate_only"]):
        raise click.UsageError("--create changes something; leave it out of what only tries")


def _options(given: dict[str, Any]) -> "Options":
    from mien.enrolling.options import Options

    names = ("duplicates", "other_subject", "misfits", "multi_face", "sync", "plan")
    chosen = {name: given[name] for name in (*names, "validate_only")}
    return Options(**chosen, fmr=given["fmr"] or 0.0)


@contextmanager
def _place(
    gallery: str, address: str, options: "Options", given: dict[str, Any]
) -> "Iterator[Place]":
    from mien.errors import GalleryExists

    with _opened(gallery, address, options, given) as place:
        if given["create"]:
            try:
                place.create()
            except GalleryExists:
                click.echo(f"{gallery} is there already", err=True)
        place.gallery()
        yield place


@contextmanager
def _opened(
    gallery: str, address: str, options: "Options", given: dict[str, Any]
) -> "Iterator[Any]":
    if given["data"] is None:
        from mien.cli.connection import connect
        from mien.enrolling.service import Service

        with connect(address) as client:
            yield Service(client, gallery, options)
        return
    from mien.enrolling.directory import Directory
    from mien.model.bundle import load

    bundle = load(given["bundle"] or built_in.find())
    data, detector = given["data"], given["detector_model"]
    with Directory(data, gallery, bundle, options, detector, create=given["create"]) as directory:
        yield directory


def _run(
    source: Any, gallery: str, place: "Place", ledger: Any, options: "Options", out: Path | None
) -> int:
    import sys

    from tqdm import tqdm

    from mien.enrolling.report import Totals
    from mien.enrolling.run import Run

    if out is not None:
        with needing("jinja2", "report"):
            import jinja2  # noqa: F401 - before hours of work
    total = source.count() if sys.stderr.isatty() else None
    with tqdm(total=total, desc="enrol", unit="picture", disable=None) as progress:
        run = Run(ledger, place, options, progress)
        if doubt := source.doubt():
            run.notes.append(doubt)
        reported = True
        try:
            run.go(source.items())
        finally:
            if out is not None:
                reported = _write(source, gallery, ledger, run.notes, out)
    for note in run.notes:
        click.echo(f"note: {note}", err=True)
    status = _tell(Totals.of(ledger), ledger, place, options)
    return status if reported else REFUSED


def _write(source: Any, gallery: str, ledger: Any, notes: list[str], out: Path) -> bool:
    """Whether it could be written: what was done is done, and is told all the same."""
    from mien.enrolling import page, report

    try:
        report.write(ledger, out)
        beside = report.page_of(out)
        page.write(ledger, source.root, f"{source.path.name} into {gallery}", notes, beside)
    except OSError as error:
        click.echo(
            f"the report cannot be written: {error}; what was done is done: make room, or name "
            "another file with --report, and run again",
            err=True,
        )
        return False
    return True


def _tell(totals: Any, ledger: Any, place: "Place", options: "Options") -> int:
    """On the terminal: what was refused, and the sums. Returns the exit status."""
    from itertools import islice

    refused = totals.outcomes["refused"]
    rows = (row for row in ledger.walk() if row.outcome == "refused")
    for row in islice(rows, REFUSED_SHOWN):
        click.echo(f"{row.key!a}: {row.refusal.reason}: {row.refusal.message}", err=True)
    if refused > REFUSED_SHOWN:
        click.echo(f"and {refused - REFUSED_SHOWN} more; --report tells of all", err=True)
    click.echo(_sums(totals, place, options))
    return 1 if refused else 0


def _sums(totals: Any, place: "Place", options: "Options") -> str:
    found = totals.outcomes
    told = {
        "refused": "refused",
        "duplicate": "twice in the source",
        "passed_over": "other files",
        "change": "to be changed",
        "remove": "to be removed",
        "removed": "removed",
    }
    rest = "".join(f", {found[each]} {name}" for each, name in told.items() if found[each])
    if options.plan:
        return (
            f"{found['add']} pictures to be added, {found['known']} known already{rest}; of "
            f"{totals.subjects} subjects"
        )
    info = place.gallery()
    done = "would enrol" if options.tries else "enrolled"
    return (
        f"{done} {found['enrolled']} pictures of {totals.subjects} subjects, {found['known']} "
        f"known already{rest}; {info.gallery_id} has {info.subjects} subjects, "
        f"{info.samples} samples"
    )
