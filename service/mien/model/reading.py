"""Picture files to vectors, by the one path; what cannot be read or is refused is told of."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.errors import InvalidArgument
from mien.matching.metrics import Vectors
from mien.model.embedder import BATCH
from mien.model.pipeline import Pipeline

UNREADABLE = "UNREADABLE"
"""The reason of a file that the system does not give; the other reasons are of MienError."""


def embed_files(pipeline: Pipeline, paths: Sequence[Path]) -> Iterator[Vectors | str]:
    """Each picture's float32 [D] unit vector, or the reason why it has none, in order.

    A batch of pictures is in memory at a time.
    """
    for start in range(0, len(paths), BATCH):
        contents = [_content(path) for path in paths[start : start + BATCH]]
        known = [content for content in contents if content is not None]
        embedded = iter(pipeline.embed_each(known))
        for content in contents:
            outcome = UNREADABLE if content is None else next(embedded)
            yield outcome.reason if isinstance(outcome, InvalidArgument) else outcome


def _content(path: Path) -> bytes | None:
    """None: the file is gone, or not for us, or damaged on its disk."""
    try:
        return path.read_bytes()
    except OSError:
        return None
