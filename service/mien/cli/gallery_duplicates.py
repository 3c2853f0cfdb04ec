"""`mien gallery duplicates`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.keeping import Place, placed
from mien.cli.options import bundle_type, gallery_argument, threshold_option
from mien.cli.plain import line, plain
from mien.cli.policy import describe
from mien.model import built_in

if TYPE_CHECKING:
    from mien.v1.match_pb2 import FindDuplicatesResponse


@click.command()
@gallery_argument
@click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="False match rate of one comparison of two subjects.",
)
@threshold_option
@click.option(
    "--bundle",
    type=bundle_type,
    help="With --data and --fmr: the bundle whose calibration decides, mien-s if left out.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    help="At most so many pairs, and as many samples.",
)
@placed
def duplicates(
    gallery: str,
    fmr: float | None,
    threshold: float | None,
    bundle: Path | None,
    limit: int,
    place: Place,
    json: bool,
) -> None:
    """Subjects of GALLERY that are one person, and samples that do not fit their subject.

    Of n subjects n (n - 1) / 2 pairs are compared: so many times the FMR are expected to be found
    though they are two people. Ask for a rate that is small enough.
    """
    from mien.v1.match_pb2 import FindDuplicatesRequest

    _check(fmr, threshold, bundle, place)
    request = FindDuplicatesRequest(
        gallery_id=gallery, target_fmr=fmr or 0, max_findings=limit, raw_threshold=threshold
    )
    if place.data is not None and threshold is None:
        bundle = bundle or built_in.find()
    with place.keeper(bundle) as keeper:
        responses = list(keeper.duplicates(request))
    click.echo(line(_fields(responses)) if json else "\n".join(_told(responses)))


def _check(fmr: float | None, threshold: float | None, bundle: Path | None, place: Place) -> None:
    if (fmr is None) == (threshold is None):
        raise click.UsageError("say by what is decided: either --fmr or --threshold")
    if bundle is not None and place.data is None:
        raise click.UsageError("--bundle is for --data; a server has its own")


def _fields(responses: "Iterable[FindDuplicatesResponse]") -> dict[str, Any]:
    """One object: pairs, misfits, and what the summary has."""
    fields: dict[str, Any] = {"pairs": [], "misfits": []}
    for response in responses:
        match response.WhichOneof("finding"):
            case "pair":
                fields["pairs"].append(plain(response.pair))
            case "misfit":
                fields["misfits"].append(plain(response.misfit))
            case "summary":
                fields |= plain(response.summary)
    return fields


def _told(responses: "list[FindDuplicatesResponse]") -> "Iterable[str]":
    for response in responses:
        match response.WhichOneof("finding"):
            case "pair":
                pair = response.pair
                yield f"{pair.score.similarity:7.4f}  {pair.subject_a} = {pair.subject_b}"
            case "misfit":
                misfit, near = response.misfit, response.misfit.nearest_subject_id
                nearest = f", but {near}" if near else ""
                yield (
                    f"{misfit.score.similarity:7.4f}  sample {misfit.sample_id} is not like "
                    f"{misfit.subject_id}{nearest}"
                )
            case "summary":
                yield from _summary(responses)


def _summary(responses: "list[FindDuplicatesResponse]") -> "Iterable[str]":
    summary, kinds = responses[-1].summary, [each.WhichOneof("finding") for each in responses]
    yield (
        f"{kinds.count('pair')} pairs of {summary.subjects} subjects, {kinds.count('misfit')} of "
        f"{summary.samples} samples that do not fit; {describe(summary.applied)}"
    )
    if summary.HasField("expected_false_pairs"):
        pairs = summary.subjects * (summary.subjects - 1) // 2
        yield (
            f"of {pairs:,} pairs of subjects about {summary.expected_false_pairs:.3g} are expected "
            "to be found though they are two people"
        )
    if summary.truncated:
        yield "there are more; ask for more with --limit, or for a smaller rate"
