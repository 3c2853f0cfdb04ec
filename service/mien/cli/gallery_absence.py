"""`mien gallery prove-absent`."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.keeping import Place, placed
from mien.cli.options import picture_type
from mien.cli.plain import line, plain

if TYPE_CHECKING:
    from mien.v1.maintenance_pb2 import ProveAbsentRequest
    from mien.v1.probe_pb2 import Embedding

ABSENT, FOUND = 0, 1


@click.command("prove-absent")
@click.option("--vector", type=picture_type, help="A .npy file with one float32 vector.")
@click.option("--sha256", default="", help="The SHA-256 of a picture, in hexadecimal digits.")
@click.option("--picture", type=picture_type, help="A picture, of which the SHA-256 is looked for.")
@click.option("--text", default="", help="A text, such as a name or an id.")
@placed
@click.pass_context
def prove_absent(
    ctx: click.Context,
    vector: Path | None,
    sha256: str,
    picture: Path | None,
    text: str,
    place: Place,
    json: bool,
) -> None:
    """Search every file of the data directory, byte by byte, for what should be gone.

    Exit status 0: it is nowhere, 1: it was found, and where is listed, 2: not answered.
    """
    request = _request(vector, sha256, picture, text)
    with place.keeper() as keeper:
        proof = keeper.prove_absent(request)
    if json:
        click.echo(line(plain(proof)))
    else:
        for trace in proof.traces:
            click.echo(f"{trace.file}, byte {trace.offset}: {trace.what}")
        verdict = f"found {len(proof.traces)} times" if proof.traces else "absent"
        click.echo(f"{verdict}: {proof.files} files, {proof.bytes:,} bytes were read")
    ctx.exit(FOUND if proof.traces else ABSENT)


def _request(
    vector: Path | None, sha256: str, picture: Path | None, text: str
) -> "ProveAbsentRequest":
    from mien.v1.maintenance_pb2 import ProveAbsentRequest

    if sha256 and picture:
        raise click.UsageError("--sha256 and --picture exclude each other")
    if not (vector or sha256 or picture or text):
        raise click.UsageError("say what to look for: --vector, --sha256, --picture or --text")
    digest = hashlib.sha256(picture.read_bytes()).hexdigest() if picture else sha256
    request = ProveAbsentRequest(content_sha256=digest, text=text)
    if vector:
        request.embedding.CopyFrom(_read(vector))
    return request


def _read(path: Path) -> "Embedding":
    """The vector of a .npy file, of whatever model."""
    import numpy as np

    from mien.errors import InvalidEmbedding
    from mien.v1.probe_pb2 import Embedding

    try:
        vector = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise InvalidEmbedding(f"{path} is no .npy file: {error}") from None
    if vector.ndim != 1 or vector.dtype != np.float32:
        raise InvalidEmbedding(
            f"{path} has {vector.dtype} {list(vector.shape)}; give one float32 vector [D]"
        )
    return Embedding(f32le=vector.astype("<f4").tobytes(), dim=len(vector))
