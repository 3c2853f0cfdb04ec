"""The command `mien-train`. Each command imports what it runs, so that --help answers at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.group import REFUSED, Group
from mien.cli.options import detector_option
from mien.errors import MienError, OutputExists
from mien_training.lab.command import lab

if TYPE_CHECKING:
    from mien.matching.calibration import Calibration
    from mien.vision.selection import OneFace
    from mien_training.export import Form
    from mien_training.prepare import Prepared
    from mien_training.source import Source

FINE_TUNE = "fine-tune"
"""The recipe for what starts from other weights, if none is named."""
UNSTATED = "unstated"
"""The licence of a bundle if nobody names one; `mien_training.export` adds what it started from."""
PEOPLE_NAMED = 5
"""Of those without a crop; the ledger has all."""


@click.group(cls=Group)
@click.version_option(package_name="mien", prog_name="mien-train")
def main() -> None:
    """Learn embedding networks from folders of people."""


main.add_command(lab)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--recipe", help="A shipped recipe's name, or a .toml file; fine-tune with --from if left out."
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="RUN|BUNDLE",
    help="Start from the weights of a run, a bundle, or the built-in mien-s.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The run folder to write."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the recipe, such as optimiser.learning_rate=0.01; may be repeated.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in --out from its checkpoint; start it where there is none.",
)
@click.option("--strict", is_flag=True, help="Refuse whatever the audit of FOLDER finds.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Then seal it in this new bundle folder, as `mien-train export` does.",
)
def fit(
    folder: Path,
    recipe: str | None,
    source: Path | None,
    out: Path,
    overrides: tuple[str, ...],
    resume: bool,
    strict: bool,
    bundle: Path | None,
) -> None:
    """Learn from FOLDER, which holds <person>/<picture>, and write a run folder."""
    from mien_training.loading import load_recipe

    if recipe is None and source is None:
        raise click.UsageError("name a --recipe, or what to start from with --from")
    if bundle and bundle.exists():
        raise OutputExists(f"--bundle {bundle} is there already; name another folder to write")
    start = _source(source) if source else None
    loaded = load_recipe(recipe or FINE_TUNE, overrides, start.recipe if start else None)

    from mien_training import fit as learning
    from mien_training.process_group import rank

    try:
        learning.fit(folder, loaded, out, resume=resume, strict=strict, source=start)
    except MienError:
        if rank() == 0:
            raise
        raise click.exceptions.Exit(REFUSED) from None  # the first process says it for all
    if rank() == 0:
        click.echo(f"wrote {out}")
        if bundle:
            _seal(out, bundle)


def _source(named: Path) -> "Source":
    from mien_training.source import load_source

    return load_source(named)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=112,
    show_default=True,
    help="Height and width of a crop.",
)
@click.option(
    "--multi-face",
    type=click.Choice(["reject", "largest"]),
    default="reject",
    show_default=True,
    help="What becomes of a picture with several faces.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Pictures worked on at a time.",
)
@detector_option
@click.pass_context
def prepare(
    ctx: click.Context,
    folder: Path,
    out: Path,
    size: int,
    multi_face: "OneFace",
    jobs: int,
    detector_model: Path | None,
) -> None:
    """Cut the faces out of FOLDER's photographs, <person>/<picture>, into OUT, to learn from.

    Exit status 0: all were cut, 1: some were refused, 2: none was. Run again, it goes on.
    """
    import cv2

    from mien.vision import detector_file
    from mien.vision.yunet import YuNet
    from mien_training.prepare import Order, prepare

    cv2.setNumThreads(1)  # the jobs share the cores
    detector = YuNet(detector_file.find(detector_model))
    done = prepare(folder, out, detector, Order((size, size), multi_face, jobs))
    click.echo("\n".join(_told(done, out)))
    ctx.exit(0 if done.cropped == done.pictures else 1 if done.cropped else REFUSED)


def _told(done: "Prepared", out: Path) -> Iterator[str]:
    yield f"cut {done.cropped:,} of {done.pictures:,} pictures of {done.people:,} people into {out}"
    if done.known:
        yield f"of all, {done.known:,} were finished before"
    for reason, count in done.outcomes.items():
        if reason != "CROPPED":
            yield f"{reason:<18} {count:,}"
    if done.without_crop:
        people = ", ".join(done.without_crop[:PEOPLE_NAMED])
        more = ", …" if len(done.without_crop) > PEOPLE_NAMED else ""
        yield f"without any crop: {len(done.without_crop):,} people ({people}{more})"
    if done.orphans:
        yield f"{done.orphans:,} pictures are gone since; their crops are still in {out}"


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The bundle folder to write."
)
@click.option("--name", help="The bundle's name; the name of its folder if left out.")
@click.option(
    "--license",
    "license_",
    default=UNSTATED,
    show_default=True,
    help="The licence of the weights, which follows from that of the pictures and of what it "
    "started from.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Where the run's folder of people is now, if it has moved.",
)
@click.option(
    "--flip/--no-flip",
    default=None,
    help="Embed a crop and its mirror image, or not: half as fast. As the recipe has it if left "
    "out; learning is the same.",
)
@click.option(
    "--half",
    is_flag=True,
    help="Store the weights in 16 bits, in half the bytes; they are computed with in 32.",
)
@click.option(
    "--int8",
    is_flag=True,
    help="Seal an int8 network, quantised on pictures of training; its card tells the cost.",
)
def export(
    run: Path,
    out: Path,
    name: str | None,
    license_: str,
    data: Path | None,
    flip: bool | None,
    half: bool,
    int8: bool,
) -> None:
    """Seal the network of RUN in a bundle, checked against it and calibrated."""
    from mien_training.export import Form

    _seal(run, out, name, license_, data, Form(flip, half, int8))


def _seal(
    run: Path,
    out: Path,
    name: str | None = None,
    license_: str = UNSTATED,
    data: Path | None = None,
    form: "Form | None" = None,
) -> None:
    """Export and tell what came of it."""
    from mien_training import export as sealing

    form = form or sealing.AS_LEARNED
    sealed = sealing.export(run, out, sealing.Label(name or out.name, license_), data, form)
    manifest = sealed.bundle.manifest
    click.echo(
        f"sealed {out}: {manifest.name}, fingerprint {manifest.fingerprint[:12]}\n"
        f"maximum difference {sealed.max_difference:.1e} from the network"
        f"{', before quantisation,' if form.int8 else ''} over {sealed.crops_compared} crops"
    )
    if sealed.half_difference is not None:
        click.echo(
            f"stored in 16 bits: maximum difference {sealed.half_difference:.1e} from 32 bits"
        )
    for cost in sealed.costs:
        rate = "EER" if cost.rate is None else f"FNMR at an FMR of {cost.rate:.2g}"
        click.echo(f"{rate}: {cost.float32:.2%} in float32, {cost.int8:.2%} in int8")
    click.echo(_calibrated(sealed.bundle.calibration))


def _calibrated(calibration: "Calibration | None") -> str:
    from mien.matching.support import supported

    if calibration is None:
        return "not calibrated: the recipe holds nobody out (validation_people=0)"
    few = calibration.smallest_supported_fmr == 1
    return (
        f"calibrated on {calibration.identities} people held out of learning, who support "
        f"{supported(calibration.identities)}"
        f"{'; hold out more (validation_people) or add people' if few else ''}"
    )
