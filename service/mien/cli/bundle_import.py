"""`mien bundle import`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click

from mien.cli.group import needing
from mien.cli.options import detector_option
from mien.model.foreign.preprocessing import (
    CHANNELS,
    LAYOUTS,
    SCALES,
    Channels,
    Colour,
    Layout,
    Scale,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.model.bundle import Bundle
    from mien.vision.crops import Alignment


def colour(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> Colour | None:
    """A callback: one number for all channels, or three for red, green and blue."""
    if value is None:
        return None
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:
        raise click.BadParameter(f"{value!r} is neither a number nor three, as R,G,B")
    red, green, blue = numbers
    return red, green, blue


def extent(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """A callback: height and width."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,4})[x×](\d{1,4})", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no size; write it as HxW, such as 112x112")
    return int(found[1]), int(found[2])


@click.command("import")
@click.argument("network", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The bundle folder to write."
)
@click.option("--name", help="The bundle's name; the name of its folder if left out.")
@click.option(
    "--license",
    "license_",
    default="unstated",
    show_default=True,
    help="The licence of the weights, as their makers state it.",
)
@click.option("--alignment", default="none", show_default=True, help="How pictures become crops.")
@click.option("--layout", type=click.Choice(LAYOUTS), help="Of the network's input.")
@click.option("--channels", type=click.Choice(CHANNELS), help="Their order.")
@click.option(
    "--scale",
    type=click.Choice(tuple(SCALES)),
    help="0 … 1; -1 … 1, by 127.5 or by 128; ImageNet's mean and deviation; 0 … 255.",
)
@click.option("--mean", callback=colour, help="With --std, instead of --scale; one or R,G,B.")
@click.option("--std", callback=colour, help="The network takes (pixel - mean) / std.")
@click.option("--size", callback=extent, metavar="HxW", help="If the network takes any.")
@click.option("--output", help="The embedding's name, if the network has several outputs.")
@click.option("--flip", is_flag=True, help="Add the outputs for a crop and its mirror image.")
@click.option(
    "--people",
    type=click.Path(path_type=Path),
    help="A folder of people: calibrates on it, and tries what the options leave open.",
)
@detector_option
def import_network(
    network: Path,
    out: Path,
    name: str | None,
    license_: str,
    alignment: str,
    layout: Layout | None,
    channels: Channels | None,
    scale: str | None,
    mean: Colour | None,
    std: Colour | None,
    size: tuple[int, int] | None,
    output: str | None,
    flip: bool,
    people: Path | None,
    detector_model: Path | None,
) -> None:
    """Seal NETWORK, any face embedder as an ONNX file, in a bundle.

    How it was fed is not in such a file: say it, or let it be tried on a folder of people.
    """
    with needing("onnx", "import"):
        from mien.model.foreign.importing import Order, import_network, markdown
        from mien.model.foreign.people import Unusable, told
        from mien.model.foreign.stated import Stated

    order = Order(
        network=network,
        name=name or out.name,
        license=license_,
        stated=Stated(layout, channels, _scale(scale, mean, std), size),
        alignment=_alignment(alignment),
        output=output,
        flip=flip,
        people=people,
        detector_model=detector_model,
    )

    def tell_unusable(unusable: "Sequence[Unusable]") -> None:
        if unusable:
            click.echo(f"{len(unusable):,} pictures left out, unusable: {told(unusable)}")

    bundle = import_network(order, out, lambda tried: click.echo(markdown(tried)), tell_unusable)
    click.echo(_told(bundle, out))


def _scale(name: str | None, mean: Colour | None, std: Colour | None) -> Scale | None:
    if name and (mean or std):
        raise click.UsageError("--scale excludes --mean and --std")
    if (mean is None) != (std is None):
        raise click.UsageError("--mean and --std go together: (pixel - mean) / std")
    if mean and std:
        return Scale(mean, std)
    return SCALES[name] if name else None


def _alignment(value: str) -> "Alignment":
    from mien.vision.crops import Alignment

    known = get_args(Alignment)
    if value not in known:
        raise click.BadParameter(f"--alignment {value!r} is not one of: {', '.join(known)}")
    return cast(Alignment, value)


def _told(bundle: "Bundle", out: Path) -> str:
    from mien.matching.support import supported

    manifest, calibration = bundle.manifest, bundle.calibration
    lines = [
        f"sealed {out}: {manifest.name}, fingerprint {manifest.fingerprint[:12]}",
        f"preprocessing: {manifest.provenance['preprocessing']}",
        "not calibrated: name a folder of people with --people"
        if calibration is None
        else f"calibrated on {calibration.identities} people, who support "
        f"{supported(calibration.identities)}",
    ]
    return "\n".join(lines)
