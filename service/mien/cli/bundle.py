"""`mien bundle`: look into one, prove it, make one of somebody else's network."""

import json as jsons
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from mien.cli.bundle_compare import compare
from mien.cli.bundle_import import import_network
from mien.cli.bundle_list import list_bundles
from mien.cli.group import Group
from mien.cli.options import bundle_argument, json_option
from mien.errors import BundleInvalid

WIDE = 72
"""Characters of a line of provenance, which may hold a whole recipe."""


@click.group(cls=Group)
def bundle() -> None:
    """Look into a bundle, prove it, or make one of somebody else's network."""


@bundle.command()
@bundle_argument
@json_option
def inspect(bundle: Path, json: bool) -> None:
    """Tell what is in BUNDLE (mien-s if left out), each file of it checked against its digest."""
    from mien.model.bundle import load
    from mien.model.summary import summary

    told = summary(load(bundle))
    click.echo(jsons.dumps(told) if json else "\n".join(_table(told)))


@bundle.command()
@bundle_argument
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Cores for one network call; 0 means all.",
)
@json_option
@click.pass_context
def check(ctx: click.Context, bundle: Path, threads: int, json: bool) -> None:
    """Prove every claim of BUNDLE, mien-s if left out, on this machine.

    Exit status 0: all hold, 2: one does not.
    """
    from mien.model.proof import prove

    proofs: dict[str, str] = {}
    try:
        for proof in prove(bundle, threads):
            proofs[proof.claim] = proof.found
            if not json:
                click.echo(f"ok  {proof.claim:<20} {proof.found}")
    except BundleInvalid as error:
        if not json:
            raise
        click.echo(jsons.dumps({"ok": False, "proved": proofs, "error": str(error)}))
        ctx.exit(2)
    if json:
        click.echo(jsons.dumps({"ok": True, "proved": proofs, "error": None}))


bundle.add_command(import_network)
bundle.add_command(compare)
bundle.add_command(list_bundles)


def _table(told: Mapping[str, Any]) -> Iterator[str]:
    """The summary for a reader who meets a bundle for the first time."""
    size = told["crop"]
    calibration = told["calibration"]
    rows = [
        ("name", told["name"]),
        ("licence", told["license"]),
        ("created", told["created"]),
        ("format", told["format"]),
        ("fingerprint", told["fingerprint"]),
        ("takes", f"RGB crops of {size['height']}×{size['width']}, {_aligned(told['alignment'])}"),
        ("gives", f"unit vectors of {told['dim']} numbers, computed in {told['precision']}"),
        ("on disk", f"{sum(told['bytes'].values()) / 2**20:.1f} MiB"),
        *((f"  {name}", f"{size:,} bytes") for name, size in told["bytes"].items()),
        ("calibration", _calibrated(calibration)),
    ]
    yield from (f"{name:<22} {value}" for name, value in rows)
    for curve in calibration["curves"] if calibration else ():
        yield from _points(curve)
    yield from _costs(told["int8_cost"] or ())
    yield "provenance"
    yield from (f"  {name:<22} {_short(value)}" for name, value in told["provenance"].items())


def _aligned(alignment: str) -> str:
    return "scaled only, not aligned" if alignment == "none" else f"aligned by {alignment}"


def _calibrated(calibration: Mapping[str, Any] | None) -> str:
    if calibration is None:
        return "none: it can promise no error rate"
    from mien.matching.support import supported

    identities, fusion = calibration["identities"], calibration["fusion"]
    return (
        f"{identities} people, who support {supported(identities)}; of several samples of a "
        f"subject the {fusion} decides"
    )


def _points(curve: Mapping[str, Any]) -> Iterator[str]:
    """The errors that somebody may choose between, for subjects of so many samples."""
    of_samples = (
        f"with {curve['samples']} sample{'s' if curve['samples'] > 1 else ''}, at an FMR of"
    )
    yield f"  {of_samples:<32} {'threshold':>9} {'FNMR':>8}   95 % interval"
    for point in curve["operating_points"]:
        yield (
            f"  {point['target_fmr']:<32.2g} {point['threshold']:>9.4f} {point['fnmr']:>8.2%}   "
            f"{point['fnmr_lower95']:.2%} to {point['fnmr_upper95']:.2%}"
        )


def _costs(costs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What int8 was measured to cost, when the bundle was sealed."""
    for cost in costs:
        name = "EER" if cost["rate"] is None else f"FNMR at an FMR of {cost['rate']:.2g}"
        yield f"cost of int8, {name}: {cost['float32']:.2%} in float32, {cost['int8']:.2%} in int8"


def _short(value: str) -> str:
    return value if len(value) <= WIDE else f"{value[:WIDE]}… (--json has all)"
